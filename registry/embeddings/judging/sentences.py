"""Sentences on a stored version: how far it moved, and what its mixing warns of."""

from collections.abc import Mapping, Sequence
from typing import Any

from registry.embeddings.versions import EmbeddingVersion
from registry.errors import first_of

MOST_RATIO = 3.0
"""Times that an exam's models may be among their own neighbours, against the catalog alone."""

LEAST_EXPLAINED = 0.1
"""Share of what models answer that other exams and the catalog explain, at least, for distances
between models of which one alone took the exam to say something."""

_NAMED = 3
"""Benchmarks of an exam that are named, and sentences of one kind."""


def movement(version: EmbeddingVersion) -> str | None:
    """Return how a version lies to the one that it was aligned to; None without one."""
    if version.aligned_to is None:
        return None
    said = f"Its coordinates are those of version {version.aligned_to}"
    if version.alignment_residual is not None:
        said += f", with a residual of {version.alignment_residual:.3f} after the rotation"
    if version.churn is not None:
        said += (
            f"; {version.churn:.0%} of models' ten nearest neighbours changed when it was judged"
        )
    return f"{said}."


def warnings_of(metrics: Mapping[str, Any]) -> list[str]:
    """Return sentences on what a version could not tie together, and whose nearness misleads.

    Args:
        metrics: of a version.
    """
    return [*tie_warnings(metrics), *mixing_warnings(metrics)]


def tie_warnings(metrics: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each exam, and part of one, that nothing ties to the others.

    Args:
        metrics: of a version.
    """
    known = ties(metrics)
    # Others are tied to the first exam, so it is tied to none itself.
    loose = [tie for tie in known[1:] if tie["explained"] < LEAST_EXPLAINED]
    apart = [part for tie in known for part in tie["apart"]]
    said = [_little_tied(tie) for tie in loose[:_NAMED]]
    if (more := len(loose) - _NAMED) > 0:
        others = f"{more:,} more exams" if more > 1 else "one more exam"
        said.append(f"The same is true of {others}, listed by `registry embeddings show`.")
    said += [_apart(part) for part in apart[:_NAMED]]
    if (more := len(apart) - _NAMED) > 0:
        said.append(f"The same is true of {more:,} more, which `metrics` names.")
    return said


def ties(metrics: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return what ties each exam to others; versions trained before that was stored have none."""
    return [each for each in metrics.get("ties", ()) if "benchmarks" in each]


def _little_tied(tie: Mapping[str, Any]) -> str:
    return (
        f"Little ties {exam_name(tie)} to the larger exams: {tie['linked']:,} of its "
        f"{tie['models']:,} models took one of those, and they and the catalog explain "
        f"{tie['explained']:.0%} of what its models answer. Distances between its models and "
        "others say little."
    )


def _apart(part: Mapping[str, Any]) -> str:
    name = exam_name(part)
    took = (
        f"None of the {part['models']:,} models that took {name} took another"
        if part["models"] > 1
        else f"The one model that took {name} took no other"
    )
    return (
        f"{took} benchmark that was learned with it. Distances between them and others say little."
    )


def mixing_warnings(metrics: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each exam whose models are mostly near each other by exam alone.

    Args:
        metrics: of a version.
    """
    return [_warning(exam) for exam in exams(metrics) if ratio(exam) > MOST_RATIO]


def exams(metrics: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the mixing of each exam; versions trained before it was measured have none."""
    found: Sequence[Mapping[str, Any]] = metrics.get("mixing", {}).get("exams", ())
    return found


def ratio(exam: Mapping[str, Any]) -> float:
    """Return how many times as often neighbours are of the same exam as by the catalog alone.

    Where the catalog gives less than chance, against chance.
    """
    expected = max(exam["catalog"], exam["chance"])
    return float(exam["share"] / expected) if expected else 0.0


def exam_name(exam: Mapping[str, Any]) -> str:
    """Return the benchmarks of an exam, the first ones by name."""
    return first_of(exam["benchmarks"])


def _warning(exam: Mapping[str, Any]) -> str:
    expected = (
        f"{exam['catalog']:.1%} of those by the catalog alone"
        if exam["catalog"] >= exam["chance"]
        else f"{exam['chance']:.1%} of all models"
    )
    return (
        f"Of the nearest neighbours of models that took {exam_name(exam)}, {exam['share']:.0%} "
        f"took it too, beside {expected}: there, nearness says what a model was evaluated on."
    )
