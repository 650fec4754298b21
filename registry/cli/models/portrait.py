"""Drawing of one model, by `registry models show`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from registry.cli import figures
from registry.cli.output import day, plain, printable, short, table
from registry.cli.similar import field_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from registry.catalog.profile import Observation, Profile

CARD_SHOWN = 12
"""Fields of the card's front matter that are drawn."""

SCORES_SHOWN = 12
"""Benchmarks whose scores are drawn, those with most models."""

SCORES_TITLE = "scores (± one standard error)"

BARS = 30
"""Observations in a row of bars."""

SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("what it is", ("author", "state", "gated", "pipeline_tag", "library", "languages")),
    ("licence", ("license", "license_class", "license_name", "license_link")),
    (
        "size and make",
        (
            "parameters",
            "stored_parameters",
            "dtypes",
            "quantization",
            "architecture",
            "model_type",
            "architectures",
        ),
    ),
    ("sources", ("datasets", "arxiv", "tags", "new_version")),
    (
        "times (UTC)",
        ("created_at", "last_modified", "first_seen", "changed_at", "gone_at", "sha"),
    ),
)


def as_document(profile: Profile) -> dict[str, Any]:
    """Return a profile for JSON, the name first."""
    content = asdict(profile)
    model = content.pop("model")
    return {"name": model["name"], "model": model, **content}


def draw(screen: Console, profile: Profile) -> None:
    """Draw a profile, leaving out fields that are not known."""
    model = profile.model
    screen.print(printable(model["name"]), style="bold")
    if profile.aliases:
        screen.print(printable(f"also known as {', '.join(profile.aliases)}"), style="dim")
    for title, names in SECTIONS:
        pairs = [(_label(name), _cell(name, model)) for name in names]
        _section(screen, title, [(name, cell) for name, cell in pairs if cell])
    _section(screen, "counters", _counters(profile))
    _section(screen, "made from", [(_parent(each), each["relation"]) for each in profile.parents])
    _section(
        screen,
        "made into",
        [(_label(relation), f"{number:,}") for relation, number in profile.children.items()],
    )
    _section(
        screen,
        "family",
        [
            ("root", printable(plain(model["family_root"]))),
            ("models", f"{profile.family_models:,}"),
            ("generation", plain(model["generation"])),
        ],
    )
    _section(screen, SCORES_TITLE, _scores(profile))
    if profile.similar:
        _heading(screen, "most similar")
        fields = [field_of(name) for name in profile.similar[0]]
        rows = [list(each.values()) for each in profile.similar]
        screen.print(table(fields, rows, width=screen.width))
    _draw_card(screen, model["card"])
    if model["unread_fields"]:
        _section(screen, "not readable", [("fields", ", ".join(model["unread_fields"]))])


def _scores(profile: Profile) -> list[tuple[str, str]]:
    lines = []
    for each in profile.scores[:SCORES_SHOWN]:
        score = f"{format_score(each)}  {each['kind']}, {each['source']}"
        lines.append((format_benchmark(each), printable(score)))
    if len(profile.scores) > SCORES_SHOWN:
        name = shlex.quote(profile.model["name"])
        all_of_them = f"registry models show {name} --format json"
        lines.append(
            ("", printable(f"{SCORES_SHOWN} of {len(profile.scores):,}; for all: {all_of_them}"))
        )
    return lines


def format_benchmark(row: Mapping[str, Any]) -> str:
    """Write a benchmark's name and version."""
    return printable(f"{row['benchmark']} {row['version']}".strip())


def format_score(row: Mapping[str, Any]) -> str:
    """Write a score of `Profile.scores` in %, ± one standard error; raw where it is no share."""
    if row["score"] is None:
        return printable(f"{row['raw_score']:.4g}{row['unit'] or ''}")
    error = f" ± {100 * row['standard_error']:.1f}" if row["standard_error"] else ""
    return f"{100 * row['score']:.1f}%{error}"


def _cell(name: str, model: Any) -> str:
    value = model[name]
    if name == "parameters" and value is not None:
        return f"{short(value)} ({value:,}, known from {model['parameters_source']})"
    if name == "dtypes" and value:
        return ", ".join(f"{kind} {short(number)}" for kind, number in value.items())
    if name in {"created_at", "last_modified"}:
        return day(value)
    return printable(plain(value))


def _counters(profile: Profile) -> list[tuple[str, str]]:
    model, history = profile.model, profile.history
    lines = []
    for name, label in (
        ("downloads", "downloads, 30 days"),
        ("downloads_all_time", "downloads, ever"),
        ("likes", "likes"),
        ("trending_score", "trending"),
    ):
        if model[name] is not None:
            bars = _bars(history, name)
            lines.append((label, f"{model[name]:,}{f'  {bars}' if bars else ''}"))
    return lines


def _bars(history: Any, name: str) -> str:
    if name not in {"downloads", "likes"}:
        return ""
    seen: list[Observation] = [each for each in history if getattr(each, name) is not None]
    if len(seen) < 2:  # noqa: PLR2004
        return ""
    shown = seen[-BARS:]
    change = getattr(shown[-1], name) - getattr(shown[-2], name)
    return (
        f"{figures.sparkline([getattr(each, name) for each in shown])}  "
        f"{change:+,} on {day(shown[-1].observed_at)}"
    )


def _parent(each: Any) -> str:
    return printable(each["parent"]) + (" (never seen)" if each["parent_missing"] else "")


def _draw_card(screen: Console, card: Any) -> None:
    if not isinstance(card, dict) or not card:
        return
    fields = [(_label(printable(name)), _brief(value)) for name, value in card.items()]
    _section(screen, "card", fields[:CARD_SHOWN])
    if len(fields) > CARD_SHOWN:
        screen.print(f"  … and {len(fields) - CARD_SHOWN} more fields", style="dim")


def _brief(value: Any) -> str:
    text = printable(plain(value))
    return text if len(text) <= 100 else f"{text[:99]}…"  # noqa: PLR2004


def _label(name: str) -> str:
    """Write the name of a field; names of models and benchmarks keep their underscores."""
    return name.replace("_", " ")


def _heading(screen: Console, title: str) -> None:
    screen.print()
    screen.print(title, style="bold cyan")


def _section(screen: Console, title: str, pairs: list[tuple[str, str]]) -> None:
    if not pairs:
        return
    from rich.table import Table
    from rich.text import Text

    _heading(screen, title)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", overflow="fold")
    grid.add_column(overflow="fold")
    for name, cell in pairs:
        grid.add_row(Text(f"  {name}"), Text(cell))
    screen.print(grid)
