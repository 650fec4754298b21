"""What analyses found, in sentences that commands and reports share."""

from collections.abc import Collection, Sequence

from registry.analysis.p_values import p_value
from registry.analysis.statistics.ability_factors import FactorAnalysisOfScores
from registry.analysis.statistics.mixed_models import MixedEffect
from registry.analysis.statistics.model_maps import MapCheck
from registry.analysis.statistics.scaling_curves import ScalingResult


def titled(name: str, version: str) -> str:
    """Return a benchmark's name with its version, if it has one."""
    return f"{name}@{version}" if version else name


def range_of(counts: Collection[int]) -> str:
    """Write the least and the most of some counts, or the one that all are."""
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def number(value: float | None) -> str:
    """Write a number that may not be known."""
    return "not known" if value is None else f"{value:.4g}"


def interval(value: float | None, lower: float | None, upper: float | None) -> str:
    """Write a number with its interval, either of which may not be known."""
    if value is None:
        return "not known"
    ends = "" if lower is None or upper is None else f" [{lower:.2f}, {upper:.2f}]"
    return f"{value:.2f}{ends}"


def held_out_sentence(fits: Sequence[ScalingResult]) -> str | None:
    """Return how well larger models are predicted, over the curves of groups, or of all."""
    found = [each for each in fits if each.error is not None and each.form == "logistic"]
    chosen = [each for each in found if each.pooled_error is not None] or found
    count = sum(each.held_out for each in chosen)
    if not count:
        return None
    said = (
        f"{count:,} scores of the largest models, predicted from smaller ones: mean error"
        f" {_mean(chosen, 'error'):.3f}; of the score at the largest smaller size"
        f" {_mean(chosen, 'last_error'):.3f}, of a line {_mean(chosen, 'line_error'):.3f}."
    )
    if any(each.covered is not None for each in chosen):
        said += f" Intervals hold {_mean(chosen, 'covered'):.0%}."
    if all(each.shared_error is not None for each in chosen):
        said += f" With the slope of all groups the error is {_mean(chosen, 'shared_error'):.3f}."
    return said


def _mean(fits: Sequence[ScalingResult], name: str) -> float:
    """Return the mean of a number over the held-out scores of which it is known."""
    parts = [(each.held_out, getattr(each, name)) for each in fits]
    known = [(count, value) for count, value in parts if value is not None]
    return sum(count * float(value) for count, value in known) / sum(count for count, _ in known)


def map_sentences(check: MapCheck) -> list[str]:
    """Return what was measured of a map."""
    found = []
    if check.kept_neighbours is not None:
        found.append(
            f"The map keeps {check.kept_neighbours:.0%} of the ten nearest neighbours by scores;"
            f" its trustworthiness is {number(check.trustworthiness)}."
        )
    if check.silhouette is None:
        return found
    found.append(
        f"{check.groups} groups of {check.grouped_models:,} models: {check.verdict}. Silhouette"
        f" {check.silhouette:+.3f} (p {p_value(check.silhouette_p)}); of the ten nearest"
        f" models {check.purity:.0%} are of the same group, {check.purity_by_chance:.0%} by chance"
        f" (p {p_value(check.purity_p)}); adjusted Rand {check.adjusted_rand:+.3f}."
    )
    return found


def factor_sentence(found: FactorAnalysisOfScores) -> str:
    """Return how much one ability explains, and how many factors there are."""
    first = found.factors[0]
    kept = sum(each.kept for each in found.factors)
    return (
        f"One ability explains {first.share:.0%} of the variance ({first.share_lower:.0%} to"
        f" {first.share_upper:.0%}); {kept} of {len(found.factors)} factors"
        f" {'is' if kept == 1 else 'are'} more than chance."
    )


def lost_effects(effects: Sequence[MixedEffect], level: float) -> list[MixedEffect]:
    """Return the effects that are significant only where models count as independent.

    Both p-values are of one effect, not corrected for the number of effects.
    """
    return [
        each for each in effects
        if each.kind in {"fixed", "test"} and each.p is not None and each.plain_p is not None
        and each.plain_p < 1 - level <= each.p
    ]  # fmt: skip
