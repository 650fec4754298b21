"""Formats of other packages: real distributions on the path, good ones and broken ones."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_commands import Commands
from databases import REPOSITORY
from sqlalchemy import Engine, text

from registry.enums import ImportFormat
from registry.errors import UsageError
from registry.evaluations.formats import plugins
from registry.evaluations.formats.detect import FORMATS, Reader
from registry.evaluations.importer import ImportOptions, import_files

PAGE = (REPOSITORY / "docs" / "evaluations.md").read_text()
EXAMPLE = next(
    block
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    if "DESCRIPTION" in block
)

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution of one module, as pip lays it out."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(code: str, name: str = "acme", package: str = "acme-format") -> None:
        module = package.replace("-", "_")
        (site / f"{module}.py").write_text(code)
        info = site / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[llm_registry.formats]\n{name} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


def result(folder: Path, name: str = "m.acme.json", **fields: object) -> Path:
    path = folder / name
    path.write_text(json.dumps({"model": "org/m", "marks": {"q1": 10, "q2": 2.5}} | fields))
    return path


def table(folder: Path) -> Path:
    path = folder / "t.csv"
    path.write_text("model,benchmark,item,outcome\norg/m,b,i,1\n")
    return path


def test_the_example_of_the_page_is_a_format(
    install: Install, engine: Engine, tmp_path: Path
) -> None:
    install(EXAMPLE)
    path = result(tmp_path)
    assert Reader().format_of(path) == "acme"
    (report,) = import_files(engine, [path])
    assert (report.status, report.format, report.error) == ("imported", "acme", None)
    with engine.connect() as connection:
        (row,) = connection.execute(
            text("SELECT model, score, raw_score, items, source FROM registry.runs")
        )
    assert tuple(row) == ("org/m", 0.625, 6.25, 2, "Acme")


def test_the_example_refuses_what_is_no_result(
    install: Install, engine: Engine, tmp_path: Path
) -> None:
    install(EXAMPLE)
    path = result(tmp_path, marks=3)
    (report,) = import_files(engine, [path])
    assert report.error == f"{path}, field 'marks': Acme has a mark for each question here."


def test_the_commands_take_an_installed_format(
    install: Install, sample: Commands, tmp_path: Path
) -> None:
    install(EXAMPLE)
    path = tmp_path / "renamed.txt"
    result(tmp_path).rename(path)
    listed = sample.done("evals", "formats", "--format", "csv").splitlines()
    assert listed[-2:] == ['acme,"*.acme.json, marks of a model on questions"', listed[-1]]
    assert listed[-1].startswith("table,")
    sample.done("evals", "import", str(path), "--as", "acme", "--dry-run")
    assert "acmee" in sample.refused(2, "evals", "import", str(path), "--as", "acmee")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import acme_that_is_not_there", "cannot be loaded (ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "cannot be loaded (SystemExit: 3)"),
        ("def", "cannot be loaded (SyntaxError"),
        ("DESCRIPTION = 'x'", "has no recognizes, read, parts"),
    ],
)
def test_a_package_that_cannot_be_used_costs_its_format_alone(
    install: Install, engine: Engine, tmp_path: Path, code: str, said: str
) -> None:
    install(code)
    problems: list[str] = []
    (report,) = import_files(engine, [table(tmp_path)], on_problem=problems.append)
    assert report.status == "imported"
    (problem,) = problems
    assert problem.startswith("The format acme of acme-format 1.2 ")
    assert said in problem
    with pytest.raises(UsageError, match="There is no format 'acme'.*acme-format 1.2"):
        Reader("acme", on_problem=problems.append)


def test_a_name_is_of_one_package(install: Install) -> None:
    install(EXAMPLE, "hub")
    install(EXAMPLE, package="one")
    install(EXAMPLE, package="other")
    problems: list[str] = []
    assert plugins.load(FORMATS, problems.append) == {}
    assert sorted(problems) == [
        "acme-format 1.2 adds a format hub, which is built in; it is not used.",
        "one 1.2 and other 1.2 both add a format acme; neither is used. Uninstall one of them.",
    ]


FAULTY = """
DESCRIPTION = "x"
def recognizes(path):
    {recognizes}
def parts(path):
    {parts}
def read(path, notes):
    {read}
"""


def faulty(**functions: str) -> str:
    return FAULTY.format(
        **{"recognizes": "return True", "parts": "return ()", "read": "yield 1"} | functions
    )


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ("yield 1", "TypeError: it yielded a int, neither a Block nor Names"),
        ("return 1 / 0", "ZeroDivisionError: division by zero"),
        ("return None", "TypeError: 'NoneType' object is not iterable"),
        (
            "from registry.evaluations import records as r; "  # noqa: ISC004 - one line of code
            "yield r.Block(benchmark=r.Benchmark(name='b'), runs=[2])",
            "TypeError: a block has a int, not a Run",
        ),
    ],
)
def test_a_format_that_fails_on_a_file_costs_that_file(
    install: Install, engine: Engine, tmp_path: Path, read: str, said: str
) -> None:
    install(faulty(recognizes="return path.suffix == '.x'", read=read))
    path = tmp_path / "a.x"
    path.touch()
    failed, other = import_files(engine, [path, table(tmp_path)])
    assert other.status == "imported"
    assert failed.error == f"{path}: The format acme of acme-format 1.2 failed on it ({said})."


def test_a_format_that_cannot_tell_is_passed_over(
    install: Install, engine: Engine, tmp_path: Path
) -> None:
    install(faulty(recognizes="return 1 / 0", parts="return 1 / 0"))
    problems: list[str] = []
    folder = tmp_path / "folder"
    folder.mkdir()
    path = table(folder)
    (report,) = import_files(engine, [folder], on_problem=problems.append)
    assert report.status == "imported"
    assert problems == [
        f"The format acme of acme-format 1.2 cannot {what} {path} (ZeroDivisionError: division by "
        "zero)."
        for what in ("list the parts of", "recognize")
    ]


def test_parts_of_an_installed_format_are_not_read_alone(install: Install, tmp_path: Path) -> None:
    install(
        faulty(
            recognizes="return path.suffix == '.x'",
            parts="return [path.with_suffix('.csv')] if path.suffix == '.x' else []",
        )
    )
    (tmp_path / "t.x").touch()
    files = [table(tmp_path), tmp_path / "t.x"]
    assert Reader().without_parts(files) == [tmp_path / "t.x"]


def test_built_in_formats_are_those_of_the_enumeration(install: Install) -> None:
    install(EXAMPLE)
    assert [*FORMATS] == [*ImportFormat]
    names = [name for name, _ in Reader().descriptions()]
    assert names == [*list(ImportFormat)[:-1], "acme", "table"]


def test_options_take_the_name_of_an_installed_format(
    install: Install, engine: Engine, tmp_path: Path
) -> None:
    install(EXAMPLE)
    path = tmp_path / "renamed"
    result(tmp_path).rename(path)
    (report,) = import_files(engine, [path], ImportOptions(format="acme"))
    assert report.status == "imported"
