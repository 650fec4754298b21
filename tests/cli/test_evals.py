"""`registry evals` on small files made here."""

import csv
import io
import shlex
from pathlib import Path

import factories
import pytest
from cli_commands import Commands
from evaluated import long_table
from sqlalchemy import Engine, text

ROWS = [
    ("org/one", "b", "i0", 1), ("org/one", "b", "i1", 1), ("org/two", "b", "i0", 1),
    ("org/two", "b", "i1", 0), ("org/one", "c", "i0", 0), ("org/two", "c", "i0", 1),
    ("org/only", "c", "i0", 1),
]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return long_table(tmp_path / "t.csv", ROWS)


@pytest.fixture
def imported(commands: Commands, path: Path) -> Commands:
    commands.done("evals", "import", str(path))
    return commands


def test_import_tells_what_became_of_each_file(commands: Commands, path: Path) -> None:
    result = commands("evals", "import", str(path), "--format", "json")
    assert result.exit_code == 0
    assert "5 runs, 7 outcomes in " in result.stderr
    assert "registry models alias unresolved" in result.stderr
    [told] = commands.json("evals", "import", str(path))
    assert told == {
        "path": str(path), "status": "unchanged", "format": "table", "runs": 5, "new": 0,
        "changed": 0, "unchanged": 5, "outcomes": 7, "new_items": 0, "unresolved": 0,
        "aliases": 0, "facts": 0, "left_out": {}, "left_out_names": {}, "replaced": {},
        "left_over": 0, "error": None,
    }  # fmt: skip
    assert "unchanged" in commands.done("evals", "import", str(path), "--format", "table")


def test_a_dry_run_says_so(commands: Commands, path: Path) -> None:
    result = commands("evals", "import", str(path), "--dry-run", "--format", "json")
    assert "nothing was changed" in result.stderr
    assert '"new": 5' in result.stdout.replace('":', '": ').replace("  ", " ")
    assert commands.json("evals", "benchmarks") == []


def test_what_was_replaced_is_said(imported: Commands, path: Path, tmp_path: Path) -> None:
    long_table(path, [(*ROWS[0][:3], 0), *ROWS[1:]])
    assert (
        f"{path}: replaced 1 runs of its earlier version"
        in imported("evals", "import", str(path)).stderr
    )
    other = long_table(tmp_path / "other.csv", ROWS)
    roles = ["--column", "source==t.csv"]
    result = imported("evals", "import", str(other), *roles, "--format", "json")
    assert f"{other}: replaced 1 runs of {path}" in result.stderr
    result = imported("evals", "import", str(path), str(other), *roles)
    assert result.exit_code == 3
    assert f"{other} contradicts {path}: org/one on b (acc)" in result.stderr


def test_columns_by_role(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("name,question,correct\nm,q1,1\nm,q2,0\n")
    roles = ["model=name", "item=question", "outcome=correct", "benchmark==mine"]
    options = [part for role in roles for part in ("--column", role)]
    [told] = commands.json("evals", "import", str(path), *options)
    assert (told["status"], told["outcomes"]) == ("imported", 2)
    assert [each["benchmark"] for each in commands.json("evals", "benchmarks")] == ["mine"]
    for wrong in ("model", "=x", "model="):
        said = commands.refused(2, "evals", "import", str(path), "--column", wrong)
        assert "--column is ROLE=COLUMN" in said


def test_a_plain_table_of_scores(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "sc.csv"
    path.write_text("name,acc\norg/a,0.5\norg/b,0.25\n")
    options = ["--column", "model=name", "--column", "score=acc", "--benchmark", "scb"]
    [told] = commands.json("evals", "import", str(path), *options)
    assert (told["status"], told["runs"], told["outcomes"]) == ("imported", 2, 0)
    shown = commands.json("query", "SELECT model, benchmark, score FROM scores ORDER BY model")
    assert [list(row.values()) for row in shown] == [
        ["org/a", "scb", 0.5], ["org/b", "scb", 0.25],
    ]  # fmt: skip
    said = commands.refused(2, "evals", "import", str(path), *options, "--column", "item=name")
    assert "There is no role 'score' of columns" in said
    assert "A table of scores has a score, and no item." in said
    said = commands.refused(1, "evals", "import", str(path), *options[:2], *options[4:])
    assert "field 'item': There is no such column for the item; --column item=NAME" in said


def test_a_role_that_there_is_none_of(commands: Commands, tmp_path: Path, path: Path) -> None:
    said = commands.refused(2, "evals", "import", str(path), "--column", "modell=name")
    assert "There is no role 'modell' of columns; there are benchmark, version," in said
    assert " model, " in said
    assert " outcome, " in said
    assert "standard_error" not in said  # which is of scores
    assert "layout" not in said
    options = ["--column", "layout=scores", "--column", "score=outcome"]
    said = commands.refused(1, "evals", "import", str(path), *options)
    assert "another score on 'b' in an earlier row" in said
    said = commands.refused(2, "evals", "import", str(path), "--column", "layout=scores")
    assert "needs a column for score" in said


def test_what_contradicts_itself_is_told_by_file_and_model(
    commands: Commands, tmp_path: Path, path: Path
) -> None:
    """Where only the benchmark that is asked for makes two blocks one."""
    said = commands.refused(1, "evals", "import", str(path), "--benchmark", "one")
    assert f"{path}: There are two results of org/" in said


def test_giving_a_name_tells_how_many_runs_moved(imported: Commands) -> None:
    given = imported("models", "alias", "add", "org/one", "org/two", "new")
    assert given.exit_code == 0
    assert "2 runs moved to org/one." in given.stderr
    taken = imported("models", "alias", "remove", "org/one", "org/two")
    assert "2 runs moved away from org/one." in taken.stderr
    assert "moved" not in imported("models", "alias", "list", "org/one").stderr


def test_a_model_of_its_own_becomes_an_alias_if_that_is_meant(
    imported: Commands, engine: Engine
) -> None:
    with engine.begin() as connection:
        factories.alias(connection, "org/two", "Two")
        factories.alias(connection, "org/two", "o two")
    alias = ("models", "alias", "add", "org/one", "org/two")
    said = imported.refused(2, *alias)
    assert "org/two is a model of its own, with 2 runs and the names Two, o two. Give --yes" in said
    assert imported.done("models", "alias", "list", "org/two", "--format", "quiet").startswith(
        "org/two\n"
    )
    said = imported(*alias, "--yes").stderr
    assert "2 runs moved to org/one." in said
    removing = "registry models alias remove org/one Two 'o two'"
    assert removing in said
    imported.done(*shlex.split(removing)[1:], "org/two")
    assert imported.done("models", "alias", "list", "org/one", "--format", "quiet") == "org/one\n"
    # One that is known by nothing but that name loses nothing.
    imported.done("models", "alias", "add", "org/one", "unheard-of")


def test_exit_codes(commands: Commands, path: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("model,benchmark,item,outcome\nm,b,i,odd\n")
    assert "bad.csv" in commands.refused(1, "evals", "import", str(bad))
    assert "bad.csv" in commands.refused(3, "evals", "import", str(tmp_path))
    assert "no file or folder" in commands.refused(2, "evals", "import", str(tmp_path / "no"))
    commands.refused(2, "evals", "import", str(path), "--as", "odd")
    assert "mapping" in commands.refused(2, "evals", "import", str(path), "--mapping", "nope")
    empty = tmp_path / "empty"
    empty.mkdir()
    nothing = "Nothing was imported: no file there is in a known format."
    said = commands.refused(1, "evals", "import", str(empty))
    assert "There is no file there." in said
    assert nothing in said
    (empty / "notes.txt").write_text("notes")
    said = commands.refused(1, "evals", "import", str(empty))
    assert "1 files are in no known format" in said
    assert nothing in said
    (empty / "t.csv").write_text(path.read_text())
    assert commands("evals", "import", str(empty)).exit_code == 0


def test_leaderboard(imported: Commands) -> None:
    ranked = imported.json("evals", "leaderboard")
    assert [(each["model"], each["average"], each["b"], each["c"]) for each in ranked] == [
        ("org/two", 0.75, 0.5, 1.0),
        ("org/one", 0.5, 1.0, 0.0),
    ]
    assert "1 more models have scores on some" in imported("evals", "leaderboard").stderr
    partial = imported.json("evals", "leaderboard", "--partial")
    assert [(each["model"], each["b"]) for each in partial][-1] == ("org/only", None)
    table = csv.DictReader(
        io.StringIO(imported.done("evals", "leaderboard", "--benchmark", "c", "--format", "csv"))
    )
    assert [row["model"] for row in table] == ["org/only", "org/two", "org/one"]
    [first] = imported.json("evals", "leaderboard", "--benchmark", "b", "--limit", "1")
    assert first["model"] == "org/one"
    assert imported.done("evals", "leaderboard", "--family", "org/two", "--format", "quiet") in {
        "org/two\n",
        "",
    }
    drawn = imported.done("evals", "leaderboard", "--format", "table")
    headings = ["model", "average", "%", "b", "%", "c"]
    assert drawn.split()[: len(headings)] == headings
    assert "75.0" in drawn
    assert "no benchmark 'x'" in imported.refused(2, "evals", "leaderboard", "--benchmark", "x")
    assert "org/none" in imported.refused(1, "evals", "leaderboard", "--family", "org/none")


def test_a_leaderboard_says_how_sure_ranks_are(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(
        "name,acc,se\norg/a,0.9,0.01\norg/b,0.89,0.01\norg/c,0.5,0.01\norg/d,0.5,\norg/e,0.1,0.01\n"
    )
    options = ["--column", "model=name", "--column", "score=acc", "--column", "standard_error=se"]
    commands.done("evals", "import", str(path), *options, "--benchmark", "exam")
    keys = ("rank", "tied", "rank_lower", "rank_upper", "standard_error")
    ranked = commands.json("evals", "leaderboard")
    # That of d may be any, so that the others' may be one worse.
    assert [[row[key] for key in keys[:4]] for row in ranked] == [
        [1, 0, 1, 3], [2, 0, 1, 3], [3, 1, 3, 4], [3, 1, None, None], [5, 0, 4, 5],
    ]  # fmt: skip
    assert [row["standard_error"] for row in ranked] == pytest.approx(
        [0.01, 0.01, 0.01, None, 0.01]
    )
    shown = commands("evals", "leaderboard", "--format", "table")
    assert shown.stdout.split()[:4] == ["model", "rank", "from", "to"]
    assert "for all models at once in 95% of cases" in shown.stderr
    assert "unknown for 1 of these 5 models" in shown.stderr
    assert "Tied at rank 3: org/c, org/d." in shown.stderr
    best = commands("evals", "leaderboard", "--limit", "2").stderr
    assert "Tied" not in best
    assert "unknown for" not in best


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evals", "leaderboard"), "no benchmark 'gsm-88k'; did you mean GSM8K, gsm8k?"),
        (("evals", "export", "new"), "no benchmark 'gsm-88k'; did you mean GSM8K, gsm8k?"),
        (("evals", "remove"), "no benchmark 'gsm-88k'; did you mean GSM8K, gsm8k?"),
        (("train",), "outcomes on a benchmark named 'gsm-88k'; did you mean GSM8K, gsm8k?"),
        (("embeddings", "compare"), "benchmark named 'gsm-88k'; did you mean GSM8K, gsm8k?"),
        # Probes take names of one benchmark together.
        (("embeddings", "probe", "benchmarks"), "'gsm-88k'; did you mean gsm8k?"),
    ],
)
def test_a_benchmark_that_there_is_none_of_has_the_nearest_ones_named(
    imported: Commands, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    told = [(f"org/{m}", b, "i0", 1) for b in ("GSM8K", "gsm8k") for m in ("one", "two")]
    imported.done("evals", "import", str(long_table(tmp_path / "g.csv", told)))
    assert said in imported.refused(2, *arguments, "--benchmark", "gsm-88k")


def test_leaderboard_tells_of_a_benchmark_in_another_spelling(
    imported: Commands, tmp_path: Path
) -> None:
    told = [(f"org/{m}", "B", "i0", 1) for m in ("one", "two", "three")]
    imported.done("evals", "import", str(long_table(tmp_path / "B.csv", told)))
    said = imported("evals", "leaderboard", "--benchmark", "b").stderr
    assert "B is another benchmark, with 3 models: registry evals leaderboard --benchmark B" in said
    assert "another benchmark" not in imported("evals", "leaderboard", "--benchmark", "c").stderr


def test_scores_of_models_are_shown_and_compared(imported: Commands, tmp_path: Path) -> None:
    """Those on benchmarks of most runs come first, and no more than have room."""
    told = [("org/one", f"a_{n:02}", "i0", 1) for n in range(20)]
    imported.done("evals", "import", str(long_table(tmp_path / "a.csv", told)))
    lines = imported.done("models", "show", "org/one", "--format", "table").splitlines()
    start = lines.index("scores (± one standard error)")
    assert [line.split()[0] for line in lines[start + 1 : start + 4]] == ["c", "b", "a_00"]
    assert lines[start + 13].strip() == (
        "12 of 22; for all: registry models show org/one --format json"
    )
    drawn = imported.done("models", "compare", "org/one", "org/two", "--format", "table")
    rows = [line.split() for line in drawn.splitlines()]
    assert ["b", "100.0%", "50.0%", "±", "50.0"] in rows
    compared = imported.json("models", "compare", "org/one", "org/two")
    assert [
        (row["benchmark"], {name: told["score"] for name, told in row["scores"].items()})
        for row in compared["scores"]
    ] == [("c", {"org/one": 0.0, "org/two": 1.0}), ("b", {"org/one": 1.0, "org/two": 0.5})]


def test_leaderboard_tells_which_benchmarks_too_few_models_have(
    imported: Commands, tmp_path: Path
) -> None:
    told = [("org/one", "private", "i0", 1), ("me/mine", "private", "i0", 0)]
    more = [(f"org/m{n}", "c", "i0", 1) for n in range(3)]
    imported.done("evals", "import", str(long_table(tmp_path / "p.csv", [*told, *more])))
    result = imported("evals", "leaderboard", "--format", "quiet")
    assert len(result.stdout.splitlines()) == 6
    assert "as too few of the models have them: b, private. Name" in result.stderr


def test_nothing_imported_yet(commands: Commands) -> None:
    assert commands.json("evals", "leaderboard") == []
    assert "No evaluations" in commands("evals", "benchmarks").stderr
    assert commands.json("models", "alias", "unresolved") == []


def test_benchmarks(imported: Commands) -> None:
    found = imported.json("evals", "benchmarks")
    assert [(each["benchmark"], each["items"], each["runs"]) for each in found] == [
        ("c", 1, 3),
        ("b", 2, 2),
    ]


def test_mappings(commands: Commands) -> None:
    found = {each["mapping"]: each["about"] for each in commands.json("evals", "mappings")}
    assert {"long", "metabench", "mmlu-pro", "pythia"} <= found.keys()
    assert all(found.values())


def test_unresolved_names_are_of_all_models(imported: Commands) -> None:
    imported.refused(2, "models", "alias", "unresolved", "org/one")
    imported.refused(2, "models", "alias", "resolve", "org/one")
    assert len(imported.json("models", "alias", "unresolved")) == 3


def test_no_more_unresolved_names_than_asked_for(imported: Commands) -> None:
    names = imported.json("models", "alias", "unresolved")
    assert imported.json("models", "alias", "unresolved", "--limit", "2") == names[:2]
    imported.refused(2, "models", "alias", "unresolved", "--limit", "0")


def test_columns_of_a_list_of_items(commands: Commands, path: Path, tmp_path: Path) -> None:
    """It is told from outcomes with texts of items by its columns."""
    asked = tmp_path / "asked.csv"
    asked.write_text("id,question,topic,key\nq0,What is 1 + 1?,sums,2\nq1,Is 7 prime?,logic,yes\n")
    options = ["--column", "item=id", "--column", "prompt=question", "--column", "domain=topic"]
    options += ["--column", "right_answer=key", "--benchmark", "mine"]
    [told] = commands.json("evals", "import", str(asked), *options)
    assert (told["status"], told["new_items"], told["runs"]) == ("imported", 2, 0)
    query = "SELECT item, prompt, domain, answer FROM items WHERE benchmark = 'mine'"
    found = sorted(tuple(row.values()) for row in commands.json("query", query))
    assert found == [("q0", "What is 1 + 1?", "sums", "2"), ("q1", "Is 7 prime?", "logic", "yes")]
    outcomes = tmp_path / "outcomes.csv"
    outcomes.write_text("model,item,outcome,text\norg/a,q0,1,What is 1 + 1?\norg/a,q2,0,Why?\n")
    [told] = commands.json("evals", "import", str(outcomes), "--column", "prompt=text",
                           "--benchmark", "mine")  # fmt: skip
    assert (told["runs"], told["outcomes"], told["new_items"]) == (1, 2, 1)
    said = commands.refused(1, "evals", "import", str(asked), "--column", "prompt=nope",
                            "--benchmark", "mine")  # fmt: skip
    assert "--column" in said


def test_columns_of_a_table_of_names(imported: Commands, tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text("label,repository\nOne,org/one\n")
    options = ["--column", "name=label", "--column", "model=repository"]
    [told] = imported.json("evals", "import", str(path), *options)
    assert (told["status"], told["aliases"]) == ("imported", 1)
    aliases = imported.json("models", "alias", "list", "org/one")
    assert "One" in {each["alias"] for each in aliases}


def test_what_lies_beside_results_is_passed_over(
    commands: Commands, path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    (folder / "images").mkdir(parents=True)
    for name in ("README.md", "LICENSE", "LICENSE.txt", ".gitattributes", "images/plot.png",
                 "config.json", "generation_config.json", "tokenizer_config.json", "run.sh",
                 "settings.yaml", "requirements-dev.txt", "model.safetensors"):  # fmt: skip
        (folder / name).write_bytes(b"{}" if name.endswith("json") else b"\x89 model-index: none")
    (folder / "t.csv").write_text(path.read_text())
    result = commands("evals", "import", str(folder), "--format", "json")
    assert (result.exit_code, result.stdout.count('"path"')) == (0, 1)
    assert "no known format" not in result.stderr
    (folder / "notes.txt").write_text("notes")
    result = commands("evals", "import", str(folder))
    assert (result.exit_code, "1 files are in no known format" in result.stderr) == (0, True)
    # Whoever names one is told what it lacks.
    assert "cannot be detected" in commands.refused(1, "evals", "import", str(folder / "LICENSE"))


@pytest.fixture
def described(imported: Commands, engine: Engine) -> Commands:
    """The models of `imported`, with sizes and licences."""
    with engine.begin() as connection:
        for name, parameters, license_ in (
            ("org/one", 7 * 10**9, "mit"), ("org/two", 70 * 10**9, "llama3")
        ):  # fmt: skip
            connection.execute(
                text("UPDATE store.models SET parameters = :p, license = :l WHERE name = :n"),
                {"n": name, "p": parameters, "l": license_},
            )
    return imported


def test_filters_of_a_leaderboard(described: Commands) -> None:
    def ranked(*options: str) -> list[str]:
        return [each["model"] for each in described.json("evals", "leaderboard", *options)]

    assert ranked("--license", "MIT") == ["org/one"]
    assert ranked("--license", "mit", "--license", "llama3") == ["org/two", "org/one"]
    assert ranked("--license-class", "permissive") == ["org/one"]
    assert ranked("--max-parameters", "8B") == ["org/one"]
    assert ranked("--min-parameters", "8B") == ["org/two"]
    [[size]] = [list(each.values()) for each in described.json(
        "query", "SELECT parameters FROM models WHERE name = 'org/one'")]  # fmt: skip
    both = ("--min-parameters", str(size), "--max-parameters", str(size))
    assert ranked(*both) == ["org/one"]
    assert ranked("--benchmark", "b", "--metric", "acc", "--filter", "") == ["org/one", "org/two"]
    assert ranked("--benchmark", "b", "--metric", "nope") == []
    assert ranked("--variant", "plain") == ["org/two", "org/one"]
    assert ranked("--source", "t.csv", "--limit", "1") == ["org/two"]
    assert ranked("--where", "parameters < 8e9 AND license = 'mit'") == ["org/one"]
    assert ranked("--where", "name LIKE '%two' -- the second") == ["org/two"]
    assert ranked("--where", "false") == []
    for arguments, said in (
        (("--source", "nope"), "No source is named 'nope'; there are: t.csv."),
        (("--variant", "nope"), "No score is of the variant 'nope'; there are plain."),
        (("--min-parameters", "2B", "--max-parameters", "1B"), "--min-parameters is more than"),
    ):
        assert said in described.refused(2, "evals", "leaderboard", *arguments)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("", "The condition is empty"),
        ("  ", "The condition is empty"),
        ("licence = 'mit'", 'column "licence" does not exist, at column 1.'),
        ("parameters", "evaluated: it must be type boolean, not type bigint"),
        ("parameters <", 'syntax error at or near "]"'),
        ("true; DROP TABLE store.models", 'syntax error at or near ";", at column 5.'),
        ("true) OR (SELECT 1", 'syntax error at or near ")"'),
        ("true) THEN 1 END FROM models UNION SELECT CASE WHEN (true", "syntax error"),
        ("true) UNION SELECT name FROM models WHERE (true", "syntax error"),
        ("true)", "syntax error"),
        ("(true", "syntax error"),
        ("/* true", "unterminated /* comment"),
        ("'true", "unterminated quoted string"),
        ("parameters > $1", "the parameter $1 has no value"),
        ("1 / (parameters - parameters) = 1", "division by zero"),
        ("nextval('store.models_model_id_seq') > 0", "permission denied"),
        ("count(*) > 0", "aggregate functions are not allowed"),
    ],
)
def test_a_condition_that_is_none(described: Commands, condition: str, said: str) -> None:
    """Whatever it is, one sentence says so, and nothing but a condition on models runs."""
    message = described.refused(2, "evals", "leaderboard", "--where", condition)
    assert said in message
    assert message.count("Error:") == 1
    assert described.json("query", "SELECT count(*) AS models FROM models") == [{"models": 3}]
