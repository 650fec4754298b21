"""Numbers, dates and tables as people read and write them."""

import contextlib
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cli_commands import REPOSITORY
from generated_hub.models import generate
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from registry.cli import figures
from registry.cli.console import visible
from registry.cli.output import Field, Format, Output, printable, table, to_json
from registry.demo.hub.server import HubServer


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1K"),
        (1049, "1K"),
        (1050, "1.1K"),
        (45_230, "45.2K"),
        (999_949, "1M"),
        (124_439_808, "124M"),
        (999_600_000, "1B"),
        (7_241_732_096, "7.2B"),
        (70_553_706_496, "70.6B"),
        (405_000_000_000, "405B"),
        (1_000_000_000_000, "1T"),
        (5_000_000_000_000_000, "5000T"),
        (-1500, "-1.5K"),
    ],
)
def test_short_numbers(number: int, written: str) -> None:
    assert figures.short(number) == written


@given(st.integers(0, 10**15))
def test_a_short_number_is_near_the_number(number: int) -> None:
    written = figures.short(number)
    assert abs(figures.read_count(written) - number) <= max(0.05 * number, 1)
    assert len(written) <= 5


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("7B", 7_000_000_000),
        ("350m", 350_000_000),
        ("1.5 k", 1500),
        ("0.5B", 500_000_000),
        ("1,000,000", 1_000_000),
        ("7_000", 7000),
        ("2T", 2_000_000_000_000),
        ("1G", 1_000_000_000),
        ("0", 0),
    ],
)
def test_counts_are_read(written: str, number: int) -> None:
    assert figures.read_count(written) == number


@pytest.mark.parametrize("written", ["", "B", "-7B", "7X", "1e9", "7BB", "nan", "10000000T", "٣"])
def test_what_is_no_count(written: str) -> None:
    with pytest.raises(ValueError, match="not a count"):
        figures.read_count(written)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:30", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        ("2026-01-31 12:30:05Z", datetime(2026, 1, 31, 12, 30, 5, tzinfo=UTC)),
        ("2026-01-31T12:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_moments_are_read_in_utc(written: str, moment: datetime) -> None:
    read = figures.read_moment(written)
    assert read == moment
    assert read.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "written", ["", "today", "2026-13-01", "2026-02-30", "0001-01-01T00+14:00"]
)
def test_what_is_no_moment(written: str) -> None:
    with pytest.raises(ValueError, match="not a date"):
        figures.read_moment(written)


def test_moments_are_written_in_utc() -> None:
    moment = datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=2)))
    assert figures.iso(moment) == "2026-01-30T23:00:00Z"
    assert figures.minute(moment) == "2026-01-30 23:00"
    assert figures.iso(moment.replace(tzinfo=None)) == "2026-01-31T01:00:00"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_spans(seconds: float, written: str) -> None:
    assert figures.span(seconds) == written


def test_sparkline() -> None:
    assert figures.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert figures.sparkline([5, 5]) == "▄▄"
    assert figures.sparkline([]) == ""


@given(st.text())
def test_nothing_printed_moves_the_cursor(text: str) -> None:
    shown = printable(text)
    assert re.sub("[\u200c\u200d]", "", shown).isprintable()


HOSTILE = "a\x1b[2J\x9b31m\x07\u202eb\u2066\x7f\nc\ud800"
ESCAPED = r"a\x1b[2J\x9b31m\x07\u202eb\u2066\x7f\nc\ud800"


def test_people_see_what_a_terminal_would_obey() -> None:
    assert visible(HOSTILE) == ESCAPED
    assert printable(HOSTILE) == ESCAPED.replace(r"\n", " ")
    assert visible("a\nb", kept="\n") == "a\nb"
    assert visible("ä 👩\u200d🚀") == "ä 👩\u200d🚀"


@pytest.mark.parametrize(
    ("format_", "written"),
    [
        # A bare name has no quotation marks: a line is a name, whatever is in it.
        ("quiet", "\\x1b[2J\\n\\x9bm\\u202e\n"),
        ("csv", 'name\n"\x1b[2J\n\x9bm\u202e"\n'),
        ("jsonl", '{"name":"\\u001b[2J\\n\\u009bm\\u202e"}\n'),
    ],
)
def test_programs_get_data_exactly_where_a_format_can_quote(
    format_: Format, written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Output(format_).rows([Field("name")], [["\x1b[2J\n\x9bm\u202e"]])
    assert capsys.readouterr().out == written


@pytest.mark.parametrize("format_", ["table", "csv", "json", "jsonl", "quiet"])
def test_a_terminal_gets_nothing_that_it_would_obey(
    format_: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    written = io.BytesIO()
    screen = Terminal(written, "utf-8")
    monkeypatch.setattr(sys, "stdout", screen)
    hostile = HOSTILE.replace("\ud800", "").replace("\n", " ")
    Output(format_).rows([Field("name"), Field("note")], [[hostile, [hostile]]])
    Output(format_).document({"name": hostile}, lambda shown: shown.print(hostile))
    screen.flush()
    assert written.getvalue().decode().replace("\n", "").isprintable()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_json_is_exact_and_printable(text: str) -> None:
    written = to_json({"name": text})
    assert json.loads(written) == {"name": text}
    assert not re.search(
        "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", written.decode()
    )


FIELDS = (Field("name"), Field("size", right=True), Field("license"), Field("task"))


def drawn(rows: list[list[str]], width: int) -> list[str]:
    screen = Console(file=io.StringIO(), width=width)
    screen.print(table(FIELDS, rows, width=width))
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue().splitlines()


cells = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=70)


@given(
    st.lists(st.lists(cells, min_size=4, max_size=4), min_size=1, max_size=4), st.integers(10, 200)
)
def test_a_table_is_never_wider_than_the_window(rows: list[list[str]], width: int) -> None:
    lines = drawn(rows, width)
    assert max(map(cell_len, lines)) <= width


def test_a_name_is_wrapped_and_never_cut() -> None:
    name = "org/" + "x" * 200
    assert "".join(line.strip() for line in drawn([[name, "", "", ""]], 50)[2:]) == name


def test_columns_go_from_the_right_as_the_window_narrows() -> None:
    rows = [["org/model", "7.2B", "apache-2.0", "text-generation"]]
    heads = [drawn(rows, width)[0].split() for width in (80, 32, 20, 10)]
    assert heads == [
        ["name", "size", "license", "task"],
        ["name", "size", "license"],
        ["name", "size"],
        ["name"],
    ]


def test_a_column_that_is_kept_is_wrapped() -> None:
    fields = (Field("model"), Field("parent"), Field("detail", kept=True))
    row = ["org/model", "org/parent", "mit, which it must not be, made from apache-2.0"]
    screen = Console(file=io.StringIO(), width=50)
    told: list[str] = []
    screen.print(table(fields, [row], width=50, on_hidden=told.append))
    assert isinstance(screen.file, io.StringIO)
    head, _, *lines = screen.file.getvalue().splitlines()
    assert (head.split(), told) == (["model", "parent", "detail"], [])
    place = head.index("detail")
    assert " ".join(line[place:].strip() for line in lines) == row[2]
    for narrow in (40, 20):
        columns = table(fields, [row], width=narrow).columns
        assert [str(each.header) for each in columns] == ["model", "detail"]


def test_a_long_value_is_cut_unless_its_column_is_whole() -> None:
    fields = (Field("name"), Field("reason", whole=True), Field("task"))
    screen = Console(file=io.StringIO(), width=200)
    screen.print(table(fields, [["a" * 61, "b" * 61, "c" * 61]], width=200))
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue().splitlines()[2].split()
    assert shown == ["a" * 61, "b" * 61, "c" * 59 + "…"]


def test_numbers_are_at_the_right() -> None:
    lines = drawn([["a", "7.2B", "mit", "x"], ["b", "950", "mit", "x"]], 80)
    assert lines[2].index("7.2B") + 4 == lines[3].index("950") + 3


def test_markup_in_a_name_is_a_name() -> None:
    assert "[bold]x[/bold]" in drawn([["[bold]x[/bold]", ":smile:", "", ""]], 80)[2]
    assert ":smile:" in drawn([["[bold]x[/bold]", ":smile:", "", ""]], 80)[2]


def on_terminal(*arguments: str, columns: int = 100, **environ: str) -> str:
    """Run a command as a process whose stdout and stderr are a terminal; return what it shows."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, columns))
    with subprocess.Popen(
        [sys.executable, "-m", "registry", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "TERM": "xterm", **environ},
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
    ) as process:
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # Linux says EIO where others say end of file
            while chunk := os.read(leader, 65536):
                shown += chunk
        os.close(leader)
    assert process.returncode == 0, shown
    return shown.decode()


def test_a_terminal_gets_a_table(sample_url: str) -> None:
    search = ("--database-url", sample_url, "models", "search", "--limit", "2")
    shown = on_terminal(*search)
    assert "─────" in shown
    assert "\x1b[1m" in shown
    narrow = on_terminal(*search, columns=40)
    assert "No room for:" in narrow
    tree = ("--database-url", sample_url, "lineage", "show", "mistralai/Mistral-7B-v0.1")
    assert "\x1b[36m" in on_terminal(*tree)
    assert "\x1b[36m" not in on_terminal(*tree, NO_COLOR="1")


def test_a_terminal_sees_the_progress_of_a_sync(database_url: str, sample_hub: str) -> None:
    shown = on_terminal("--database-url", database_url, "sync", HF_ENDPOINT=sample_hub)
    assert "asking the Hub" in shown
    assert "records" in shown


def test_the_rate_of_a_resumed_sync_is_its_own(database_url: str) -> None:
    with HubServer(generate(30), page_limit=20) as hub:
        sync = ("--database-url", database_url, "sync")
        on_terminal(*sync, "--limit", "20", HF_ENDPOINT=hub.url)
        shown = on_terminal(*sync, columns=200, HF_ENDPOINT=hub.url)
    # One page is left: there is no time between the first report and the last.
    assert "30 records, 0/s" in shown


@pytest.mark.parametrize("number", [-(2**63) - 1, -(2**63), 2**63, 2**64 - 1, 2**64, 10**40])
def test_json_has_all_digits_of_any_integer(number: int) -> None:
    told = {"a": [number], "b": {"c": number}}
    assert json.loads(to_json(told)) == told
