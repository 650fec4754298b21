"""What docs/evaluations.md says can be done as it says."""

import re
import shlex
from pathlib import Path

import pytest
from cli_commands import parse
from databases import REPOSITORY
from sqlalchemy import Engine

from registry.evaluations.importer import ImportOptions, import_files
from registry.evaluations.formats.detect import FORMATS
from registry.evaluations.formats.tables import presets
from registry.evaluations.outcomes import read_outcomes

PAGE = (REPOSITORY / "docs" / "evaluations.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line: str) -> None:
    name, *words = shlex.split(line)
    assert name == "registry"
    parse(words)


def test_every_format_is_there() -> None:
    for name in FORMATS:
        assert f"| `{name}` |" in PAGE


def test_every_mapping_named_is_built_in() -> None:
    named = re.findall(r"--mapping ([a-z0-9-]+)`", PAGE)
    assert named
    assert set(named) <= set(presets())


def test_the_mapping_reads_a_table(engine: Engine, tmp_path: Path) -> None:
    mapping = tmp_path / "ours.yaml"
    mapping.write_text(blocks("yaml")[0])
    table = tmp_path / "grades.csv"
    table.write_text(
        "checkpoint,step,question_id,grade,question,topic\n"
        "org/a,10,q1,10,What is 1 + 1?,sums\n"
        "org/a,10,q2,2.5,What is 1 + 2?,sums\n"
        "org/b,10,q1,timeout,What is 1 + 1?,sums\n"
        "org/b,10,q2,0,What is 1 + 2?,sums\n"
    )
    (report,) = import_files(engine, [table], ImportOptions(mapping=str(mapping)))
    assert report.error is None
    with engine.connect() as connection:
        found = read_outcomes(connection, benchmarks=["our-benchmark"])
    assert found.models == ["org/a", "org/b"]
    assert found.values.tolist()[0] == [1.0, 0.25]
    assert found.mask.tolist() == [[True, True], [False, True]]
