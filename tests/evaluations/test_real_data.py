"""The real data sets in one database: what SQL says is what pandas makes of the files."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from factories import NOON, rows
from sqlalchemy import Engine, text

from registry.catalog import resolution
from registry.db import connection as database
from registry.demo.hub.server import HubServer
from registry.evaluations.import_log import FileReport
from registry.evaluations.importer import import_files
from registry.hub.client import Hub
from registry.sync import sync
from registry.sync.sync import SyncOptions

if TYPE_CHECKING:
    from databases import Databases

pytestmark = [pytest.mark.shared, pytest.mark.long]

FOLDERS = (
    "metabench-responses",
    "mmlu-pro-responses",
    "open-llm-leaderboard-v1",
    "open-llm-leaderboard-v2",
    "pythia-evals",
    "alpaca-eval",
    "obs-scaling-scores",
    "routellm-mmlu-gsm8k",
)

SYSTEMS = r"_(?:concise|verbose|gamed)$|-best-of-\d+$|^pairrm-|^aligner-2b_|^SelfMoA_|-togetherai$"
"""Names of AlpacaEval that are of systems around a model."""

STORED = (
    "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables"
    " WHERE schemaname = 'store' AND relname <> 'job_runs' ORDER BY relname"
)

Reports = dict[str, list[FileReport]]


@pytest.fixture(scope="module")
def real(databases: "Databases") -> Iterator[Engine]:
    with databases.made(template=databases.template()) as url:
        engine = database.create_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture(scope="module")
def reports(real: Engine, shared: Path) -> Reports:
    """What became of every file, imported in the folders' order."""
    return {folder: import_files(real, [shared / folder]) for folder in FOLDERS}


def asked(engine: Engine, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return rows(connection, query, **parameters)


def scores(engine: Engine, source: str, **told: str) -> dict[str, float]:
    """Return raw scores by spelling, of a source and what tells its runs apart."""
    wanted = " AND ".join(f"{column} = :{column}" for column in told) or "true"
    found = asked(
        engine,
        f"SELECT spelling, raw_score FROM registry.runs WHERE source = :source AND {wanted}",
        source=source,
        **told,
    )
    assert len(dict(found)) == len(found)
    return dict(found)


def test_every_file_lands(reports: Reports) -> None:
    for folder, of in reports.items():
        left = {Path(each.path).name: each.error for each in of if each.status != "imported"}
        assert left == {}, folder


def test_metabench(real: Engine, reports: Reports, shared: Path) -> None:
    for path in sorted((shared / "metabench-responses").glob("responses_*.parquet")):
        frame = pd.read_parquet(path).set_index("model")
        found = asked(
            real,
            "SELECT spelling, raw_score, items FROM registry.runs"
            " WHERE source = 'metabench' AND details ->> 'matrix' = :matrix",
            matrix=path.stem,
        )
        assert {row[0]: row[1] for row in found} == pytest.approx(frame.mean(axis=1).to_dict())
        assert {row[0]: row[2] for row in found} == frame.notna().sum(axis=1).to_dict()
    # Of one matrix, outcome by outcome.
    frame = pd.read_parquet(shared / "metabench-responses" / "responses_winogrande.parquet")
    frame = frame.set_index("model")
    [(right, items)] = asked(
        real, "SELECT sum(outcome), count(*) FROM registry.outcomes WHERE benchmark = 'winogrande'"
    )
    assert (right, items) == (frame.to_numpy().sum(), frame.size)


def test_names_of_benchmarks_are_joined(real: Engine, reports: Reports) -> None:
    joined = asked(
        real,
        """
        SELECT canonical, array_agg(DISTINCT benchmark ORDER BY benchmark)
          FROM registry.benchmarks WHERE prompting IS NULL AND canonical !~ '^bbh_'
         GROUP BY canonical HAVING count(*) > 1 ORDER BY canonical""",
    )
    assert joined == [
        ("arc_challenge", ["arc", "arc_challenge"]),
        ("mmlu_pro", ["leaderboard_mmlu_pro", "mmlu_pro"]),
    ]
    [(names, canonical)] = asked(
        real, "SELECT count(*), count(DISTINCT canonical) FROM registry.benchmarks"
    )
    assert (names, canonical) == (295, 238)
    # 9,626 of 12,032 questions.
    assert asked(real, "SELECT DISTINCT complete FROM registry.runs WHERE source = 'MMLU-Pro'") == [
        (False,)
    ]


def test_problems_are_what_the_files_have(real: Engine, reports: Reports) -> None:
    query = "SELECT kind, count(*) FROM registry.evaluation_problems GROUP BY kind"
    found = dict(asked(real, query))
    assert found.pop("conflict") > 100
    assert found == {
        "constant_items": 1,
        "duplicated_items": 2,
        "same_outcomes": 85,
        "saturated_items": 1,
    }


def test_mmlu_pro(real: Engine, reports: Reports, shared: Path) -> None:
    folder = shared / "mmlu-pro-responses"
    frame = pd.read_parquet(folder / "responses.parquet")
    assert scores(real, "MMLU-Pro") == pytest.approx(
        frame.groupby("model")["correct"].mean().to_dict()
    )
    model = frame["model"].iloc[0]
    own = frame[frame["model"] == model].merge(
        pd.read_parquet(folder / "questions.parquet"), on="question_id"
    )
    [(name,)] = asked(
        real, "SELECT model FROM registry.evaluated_names WHERE spelling = :model", model=model
    )
    found = asked(
        real,
        "SELECT domain, accuracy FROM registry.accuracy_by_domain(:name, 'mmlu_pro')",
        name=name,
    )
    assert dict(found) == pytest.approx(own.groupby("category")["correct"].mean().to_dict())
    said = asked(real, "SELECT item, answer FROM registry.answers WHERE model = :name", name=name)
    assert dict(said) == {
        str(row.question_id): row.pred if isinstance(row.pred, str) else None
        for row in own.itertuples()
    }


def test_leaderboards(real: Engine, reports: Reports, shared: Path) -> None:
    frame = pd.read_csv(shared / "open-llm-leaderboard-v1" / "models.csv.gz", low_memory=False)
    for benchmark in ("arc", "hellaswag", "mmlu", "truthfulqa", "winogrande", "gsm8k"):
        values = pd.to_numeric(frame[benchmark], errors="coerce")
        [(count, mean)] = asked(
            real,
            "SELECT count(*), avg(raw_score) FROM registry.runs"
            " WHERE source = 'Open LLM Leaderboard v1' AND benchmark = :benchmark",
            benchmark=benchmark,
        )
        assert count == pytest.approx(values.notna().sum(), rel=0.01)
        assert mean == pytest.approx(values.mean(), rel=0.01)
    frame = pd.read_csv(shared / "open-llm-leaderboard-v2" / "contents.csv.gz")
    means = frame.groupby("fullname")["IFEval Raw"].mean()
    found = asked(
        real,
        "SELECT spelling, avg(raw_score) FROM registry.runs"
        " WHERE source = 'Open LLM Leaderboard v2' AND benchmark = 'leaderboard_ifeval'"
        " GROUP BY spelling",
    )
    assert dict(found) == pytest.approx(means.to_dict())


def test_pythia(real: Engine, reports: Reports, shared: Path) -> None:
    frame = pd.read_parquet(shared / "pythia-evals" / "results.parquet")
    [(count,)] = asked(
        real, "SELECT count(*) FROM registry.runs WHERE source = 'Pythia evaluations'"
    )
    assert count == len(frame)
    found = asked(
        real,
        "SELECT spelling, metric, count(*), avg(raw_score) FROM registry.runs"
        " WHERE source = 'Pythia evaluations' AND benchmark = 'lambada_openai'"
        " GROUP BY spelling, metric",
    )
    # The suites are models of two trainings.
    frame["model"] += frame["suite"].map({"pythia-v0": "-v0", "pythia-v1": ""})
    of = frame[frame["task"] == "lambada_openai"].groupby(["model", "metric"])["value"]
    assert {row[:2]: row[2] for row in found} == of.count().to_dict()
    assert {row[:2]: row[3] for row in found} == pytest.approx(of.mean().to_dict())


def test_alpaca_eval(real: Engine, reports: Reports, shared: Path) -> None:
    folder = shared / "alpaca-eval"
    frame = pd.read_parquet(folder / "annotations.parquet")
    frame["outcome"] = frame["preference"].replace(0, 1.5) - 1
    keys = ["model", "annotator", "generator_1"]
    frame = frame[~frame["model"].str.contains(SYSTEMS)]
    expected = frame.dropna(subset=["outcome"]).groupby(keys)["outcome"].mean() * 100
    found = asked(
        real,
        "SELECT spelling, details ->> 'annotator', details ->> 'baseline', raw_score"
        "  FROM registry.runs WHERE source = 'AlpacaEval annotations' AND variant IS NULL",
    )
    assert {row[:3]: row[3] for row in found} == pytest.approx(expected.to_dict(), rel=1e-4)
    for judge, name in (
        ("alpaca_eval_gpt4", "leaderboard_v1_alpaca_eval_gpt4.csv"),
        ("weighted_alpaca_eval_gpt4_turbo", "leaderboard_v2_weighted_alpaca_eval_gpt4_turbo.csv"),
    ):
        table = pd.read_csv(folder / name, index_col=0)["win_rate"]
        told = asked(
            real,
            "SELECT spelling, variant, raw_score FROM registry.runs"
            " WHERE source = 'AlpacaEval leaderboard' AND metric = 'win_rate' AND filter = :judge",
            judge=judge,
        )
        plain = table[~table.index.str.contains(SYSTEMS)].to_dict()
        assert {row[0]: row[2] for row in told if row[1] is None} == pytest.approx(plain)
        systems = [row[2] for row in told if row[1] is not None]
        assert sorted(systems) == pytest.approx(sorted(table[table.index.str.contains(SYSTEMS)]))
    # Boards show the length-controlled rate, which is the official one, of the plain model, though
    # systems are verified, newer or better.
    rates = pd.read_csv(folder / name, index_col=0)["length_controlled_winrate"].dropna()
    plain = rates[~rates.index.str.contains(SYSTEMS)].to_dict()
    shown = asked(
        real,
        "SELECT r.spelling, l.variant, l.raw_score FROM registry.leaderboard l"
        "  JOIN registry.runs r USING (run) WHERE l.benchmark = 'alpaca_eval'",
    )
    assert {row[0]: row[2] for row in shown if row[0] in plain} == pytest.approx(plain, abs=1e-3)
    assert {row[1] for row in shown} == {None}


def test_obs_scaling(real: Engine, reports: Reports, shared: Path) -> None:
    for name in ("base_llm_benchmark_eval", "instruct_llm_benchmark_eval"):
        frame = pd.read_csv(shared / "obs-scaling-scores" / f"{name}.csv")
        found = asked(
            real,
            "SELECT spelling, raw_score FROM registry.runs WHERE source = 'ObsScaling'"
            "   AND benchmark = 'mmlu' AND details ->> 'table' = :name",
            name=name,
        )
        if "MMLU" in frame:
            expected = frame.set_index("Model")["MMLU"].dropna()
            assert dict(found) == pytest.approx(expected.to_dict())


def test_routellm(real: Engine, reports: Reports, shared: Path) -> None:
    frame = pd.read_parquet(shared / "routellm-mmlu-gsm8k" / "outcomes.parquet")
    found = asked(
        real,
        "SELECT benchmark, spelling, raw_score, items FROM registry.runs WHERE source = 'RouteLLM'",
    )
    assert len(found) == 4
    for benchmark, model, score, items in found:
        own = frame[frame["benchmark"] == benchmark][model]
        assert (score, items) == (pytest.approx(own.mean()), len(own))


def test_statistics_of_items_are_those_of_pandas(
    real: Engine, reports: Reports, shared: Path
) -> None:
    frame = pd.read_parquet(shared / "mmlu-pro-responses" / "responses.parquet")
    expected = frame.groupby("question_id")["correct"].mean()
    found = asked(
        real,
        "SELECT item, models, mean_outcome FROM registry.hardest_items('mmlu_pro', 100000)",
    )
    assert {int(row[0]): row[2] for row in found} == pytest.approx(expected.to_dict(), abs=1e-6)
    assert {int(row[0]): row[1] for row in found} == frame.groupby("question_id").size().to_dict()


def test_a_second_import_changes_nothing(
    real: Engine, reports: Reports, shared: Path, tmp_path: Path
) -> None:
    asked(real, "SELECT pg_stat_force_next_flush()")
    before = asked(real, STORED)
    # Its 189,100 runs take as long as all others: a part of them, below, tells as much.
    quick = [shared / folder for folder in FOLDERS if folder != "pythia-evals"]
    again = import_files(real, quick)
    assert {each.status for each in again} == {"unchanged"}
    asked(real, "SELECT pg_stat_force_next_flush()")
    assert asked(real, STORED) == before
    part = pd.read_parquet(shared / "pythia-evals" / "results.parquet").iloc[::40]
    part.to_parquet(tmp_path / "part.parquet")
    [report] = import_files(real, [tmp_path])
    assert (report.status, report.written.unchanged) == ("unchanged", len(part))


def test_precision_of_names(engine: Engine, shared: Path) -> None:
    """Curated names against their models, the models alone being known."""
    frame = pd.read_parquet(shared / "eval-model-registry" / "aliases.parquet")
    frame = frame[(frame["entity_type"] == "model") & frame["canonical_id"].notna()]
    models: dict[str, str] = dict(
        frame.drop_duplicates("raw_value")[["raw_value", "canonical_id"]].itertuples(index=False)
    )
    with engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO store.models (name, state, first_seen, changed_at)
            SELECT DISTINCT name, 'available', :noon, CAST(:noon AS timestamptz)
              FROM unnest(CAST(:names AS text[])) AS n (name)"""),
            {"names": sorted(set(models.values())), "noon": NOON},
        )
        resolution.resolve(connection, models, as_of=NOON)
        found = rows(connection, "SELECT spelling, model, method FROM registry.evaluated_names")
    assert len(found) == len(models)
    by_method = pd.DataFrame(found, columns=["name", "model", "method"])
    by_method["right"] = by_method["name"].map(models) == by_method["model"]
    shown = by_method.groupby("method")["right"].agg(["size", "mean"])
    resolved = by_method[by_method["method"] != "unresolved"]
    print(f"\n{shown}\nprecision {resolved['right'].mean():.4f} of {len(resolved)}")
    assert resolved["right"].mean() >= 0.99
    assert len(resolved) > 10_000


def test_share_of_names_resolved(real: Engine, reports: Reports, shared: Path) -> None:
    """With the Hub's models and the curated names known, after the fact."""
    with gzip.open(shared / "hub-models" / "models.jsonl.gz", "rt") as file:
        records = [json.loads(line) for line in file]
    for record in records:
        record.pop("baseModels", None)
        record["_id"] = hashlib.sha256(record["id"].encode()).hexdigest()[:24]
    imported = "SELECT count(*), sum(items) FROM registry.runs WHERE file IS NOT NULL"
    runs = asked(real, imported)
    with HubServer(records) as server:
        options = SyncOptions(as_of=NOON, lookups=0)
        sync.sync_models(real, options, source=Hub(server.url, first_wait=0.01))
    import_files(real, [shared / "eval-model-registry"])
    shares = asked(
        real,
        "SELECT source, count(DISTINCT spelling),"
        "       avg((resolved_by <> 'unresolved')::int) FROM (SELECT DISTINCT source, spelling,"
        "       resolved_by FROM registry.runs WHERE file IS NOT NULL) s"
        " GROUP BY source ORDER BY source",
    )
    known = asked(
        real,
        "SELECT source, avg((m.state <> 'stub')::int) FROM"
        " (SELECT DISTINCT source, spelling, model FROM registry.runs WHERE file IS NOT NULL) r"
        " JOIN registry.models m ON m.name = r.model GROUP BY source",
    )
    on_hub = dict(known)
    for source, names, share in shares:
        print(f"\n{source}: {names} names, {share:.1%} resolved, {on_hub[source]:.1%} on the Hub",
              end="")  # fmt: skip
    assert all(share > 0 for _, _, share in shares)
    # Moving takes nothing away, and leaves nothing behind.
    assert asked(real, imported) == runs
    assert asked(
        real,
        "SELECT count(*) FROM store.answers a LEFT JOIN store.runs r USING (model_id, run_id)"
        " WHERE r.run_id IS NULL",
    ) == [(0,)]
