"""Drawing of one version of embeddings, by `registry embeddings show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.cli.output import Field, decimals, grouped, table

if TYPE_CHECKING:
    from rich.console import Console

_TABLES = ("by_benchmark", "mixing", "ties", "coverage", "reference")
"""Metrics that have tables of their own."""

_BENCHMARKS = (
    Field("benchmark", kept=True),
    Field("models", look=grouped, right=True),
    Field("items", look=grouped, right=True),
    Field("outcomes", look=grouped, right=True),
    Field("held_out", look=grouped, right=True),
    Field("log_loss", look=decimals, right=True, kept=True),
    Field("baseline", "items' means", look=decimals, right=True),
    Field("auc", look=decimals, right=True),
)


_TIES = (
    Field("exam", kept=True, whole=True),
    Field("models", look=grouped, right=True),
    Field("items", look=grouped, right=True),
    Field("linked", "took a larger one", look=grouped, right=True, kept=True),
    Field("explained", "explained", look=decimals, right=True, kept=True),
)


def draw(screen: Console, content: Mapping[str, Any], said: Sequence[str]) -> None:
    """Draw a version: its fields, its benchmarks, its exams, and sentences on it.

    Args:
        screen: to draw on.
        content: fields of the version.
        said: the sentences.
    """
    metrics = content["metrics"]
    shown = {**content, "metrics": {k: v for k, v in metrics.items() if k not in _TABLES}}
    fields = [Field("field", "", kept=True), Field("value", "", kept=True, whole=True)]
    rows = [(name.replace("_", " "), value) for name, value in shown.items()]
    screen.print(table(fields, rows, width=screen.width))
    if benchmarks := _benchmarks(metrics):
        screen.print(table(_BENCHMARKS, benchmarks, width=screen.width))
    if "coverage" in metrics:
        screen.print(_coverage(metrics["coverage"]))
    if ties := _ties(metrics):
        screen.print(table(_TIES, ties, width=screen.width))
    if exams := _exams(metrics):
        neighbours = metrics["mixing"]["neighbours"]
        screen.print(table(_exam_fields(neighbours), exams, width=screen.width))
    for sentence in said:
        screen.print(sentence)


def _benchmarks(metrics: Mapping[str, Any]) -> list[list[Any]]:
    covered = metrics.get("coverage", {}).get("benchmarks", {})
    held = metrics.get("by_benchmark", {})
    return [
        [
            name,
            *(covered.get(name, {}).get(each) for each in ("models", "items", "outcomes")),
            *(held.get(name, {}).get(each) for each in ("count", "log_loss", "baseline", "auc")),
        ]
        for name in covered or held
    ]


def _coverage(coverage: Mapping[str, Any]) -> str:
    return (
        f"{coverage['models']:,} models, {coverage['items']:,} items and "
        f"{len(coverage['benchmarks']):,} benchmarks in {coverage['exams']:,} exams (benchmarks "
        f"that mostly the same models took); {coverage['one_exam']:,} models took one exam only.\n"
    )


def _ties(metrics: Mapping[str, Any]) -> list[list[Any]]:
    from registry.embeddings.judging.sentences import exam_name, ties

    names = ("models", "items", "linked", "explained")
    return [[exam_name(tie), *(tie[name] for name in names)] for tie in ties(metrics)]


def _exam_fields(neighbours: int) -> list[Field]:
    return [
        Field("exam", kept=True, whole=True),
        Field("models", look=grouped, right=True),
        Field("only", "this one only", look=grouped, right=True),
        Field("share", f"of {neighbours} nearest", look=decimals, right=True, kept=True),
        Field("catalog", "by catalog", look=decimals, right=True, kept=True),
        Field("chance", "of all", look=decimals, right=True),
        Field("norm", "median norm", look=decimals, right=True),
    ]


def _exams(metrics: Mapping[str, Any]) -> list[list[Any]]:
    from registry.embeddings.judging.sentences import exam_name, exams

    names = ("models", "only", "share", "catalog", "chance", "norm")
    return [[exam_name(exam), *(exam[name] for name in names)] for exam in exams(metrics)]
