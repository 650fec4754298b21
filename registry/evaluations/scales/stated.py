"""Scales that a person states at an import, where the files state none."""

import re
from dataclasses import dataclass, replace

from registry.errors import RegistryError, UsageError
from registry.evaluations.records import Measure
from registry.evaluations.scales import in_percent
from registry.evaluations.scales.metrics import scale_of

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_BOUNDS = re.compile(rf"({_NUMBER}):({_NUMBER})", re.ASCII)


@dataclass(frozen=True, slots=True)
class StatedScale:
    """A scale for all scores of files; None is not stated."""

    lower: float | None = None
    upper: float | None = None
    unit: str | None = None
    higher_is_better: bool | None = None

    @classmethod
    def parse(cls, scale: str | None, better: str | None) -> "StatedScale":
        """Read `percent`, `0-1` or `LOW:HIGH`, and `higher` or `lower`.

        Raises:
            UsageError: it is neither.
        """
        if better not in (None, "higher", "lower"):
            raise UsageError(f"--better is higher or lower; {better!r} is not.")
        higher = None if better is None else better == "higher"
        if scale is None:
            return cls(higher_is_better=higher)
        if scale == "percent":
            return cls(0.0, 100.0, "%", higher)
        if scale == "0-1":
            return cls(0.0, 1.0, None, higher)
        bounds = _BOUNDS.fullmatch(scale)
        if bounds is None or not float(bounds[1]) < float(bounds[2]):
            raise UsageError(
                f"--scale is percent, 0-1 or LOW:HIGH, such as 0:10; {scale!r} is not."
            )
        return cls(float(bounds[1]), float(bounds[2]), None, higher)

    def applied(self, measure: Measure, *, outcomes: bool = False) -> Measure:
        """Return a measure on this scale, unless its file states one, or it can have none.

        A perplexity, an error rate and a rating by Elo have no bounds, whatever is stated; those
        of a correlation are -1 and 1, in percent -100 and 100.

        Args:
            measure: as its file states it.
            outcomes: whether it is that of outcomes, whose scale the file's reader knows.

        Raises:
            RegistryError: the file states another scale or direction.
        """
        return self._bounded(self._directed(measure), outcomes=outcomes)

    def _bounded(self, measure: Measure, *, outcomes: bool) -> Measure:
        if self.upper is None:
            return measure
        if measure.assumed or measure.width is None:
            usual = scale_of(measure.metric)
            if (usual.by_definition and usual.upper is None) or usual.unit == "Elo":
                return measure
            if measure.unit == "%" and self.unit is None and measure.width is None:
                raise self._contradicted(measure, "in percent")
            if usual.lower == -1:
                plain = replace(measure, lower=-1.0, upper=1.0, unit=None)
                if self.unit == "%":
                    return replace(in_percent(plain), assumed=False)
                if (self.lower, self.upper) == (0.0, 1.0):
                    return replace(plain, assumed=False)
            return replace(
                measure,
                lower=self.lower,
                upper=self.upper,
                # The bound of the best is the upper one, unless --better says lower.
                higher_is_better=measure.higher_is_better is not False,
                unit=self.unit,
                assumed=False,
            )
        if not outcomes and (measure.lower, measure.upper) != (self.lower, self.upper):
            raise self._contradicted(measure, measure.span)
        return measure

    def _directed(self, measure: Measure) -> Measure:
        higher = self.higher_is_better
        if higher is None or higher == measure.higher_is_better:
            return measure
        if measure.higher_is_better is None:
            return replace(measure, higher_is_better=higher)
        if measure.assumed and not scale_of(measure.metric).by_definition:
            return replace(measure, higher_is_better=higher)
        better = "higher" if measure.higher_is_better else "lower"
        raise RegistryError(
            f"A {better} {measure.metric} is better, by the file or by definition, and --better "
            f"says {'higher' if higher else 'lower'}: leave --better out."
        )

    def _contradicted(self, measure: Measure, stated: str) -> RegistryError:
        return RegistryError(
            f"The file states {measure.metric} {stated}, and --scale says from {self.lower:g} to "
            f"{self.upper:g}: leave --scale out, or correct the file."
        )


NOT_STATED = StatedScale()
