"""Drift of a router: whether the probabilities that it states still hold, and whom it chooses."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from math import sqrt

from sqlalchemy import Connection, Row, text

from registry.enums import ReportPeriod

BINS = 10
"""Bins of equal width for the calibration error."""

LEAST = 30
"""Outcomes from which a difference may be called a drift."""

Z = 1.959964
"""Standard errors within which 95% of differences of a calibrated router are."""

ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRow:
    """Decisions of one period, of one model or of all.

    Attributes:
        period: its first day, UTC.
        model: name; `all` for all models.
        decisions: number.
        share: of the period's decisions, in [0, 1].
        outcomes: decisions with a probability whose outcome was fed back.
        expected: mean probability of these; None without any.
        observed: their mean outcome.
        difference: observed less expected.
        margin: within which 95% of the differences of a calibrated router are.
        calibration_error: expected calibration error, over ten bins of equal width.
        drifted: whether the difference is beyond the margin, of 30 outcomes or more; None of fewer.
        expected_cost: mean dollars of the decisions with a known cost.
    """

    period: date
    model: str
    decisions: int
    share: float
    outcomes: int
    expected: float | None
    observed: float | None
    difference: float | None
    margin: float | None
    calibration_error: float | None
    drifted: bool | None
    expected_cost: float | None


def report_drift(
    connection: Connection,
    *,
    period: ReportPeriod = ReportPeriod.WEEK,
    since: datetime | None = None,
    router: str | None = None,
) -> list[DriftRow]:
    """Return what was chosen in each period and how it turned out, by period, all models first.

    Args:
        connection: to read from.
        period: of the rows.
        since: decisions from then on; None is all.
        router: of the decisions; None is all.
    """
    rows = connection.execute(
        text("""
        SELECT date_trunc(:period, decided_at AT TIME ZONE 'UTC')::date AS period, model,
               width_bucket(probability, 0, 1, :bins) AS bin,
               count(*) AS decisions,
               count(*) FILTER (WHERE known) AS outcomes,
               coalesce(sum(probability) FILTER (WHERE known), 0) AS expected,
               coalesce(sum(outcome) FILTER (WHERE known), 0) AS observed,
               coalesce(sum(probability * (1 - probability)) FILTER (WHERE known), 0) AS variance,
               count(expected_cost) AS priced, coalesce(sum(expected_cost), 0) AS cost
          FROM (SELECT d.decided_at, d.model, d.outcome::float8, d.probability::float8,
                       d.expected_cost,
                       d.outcome IS NOT NULL AND d.probability IS NOT NULL AS known
                  FROM registry.route_decisions d
                 WHERE (CAST(:since AS timestamptz) IS NULL OR d.decided_at >= :since)
                   AND (CAST(:router AS text) IS NULL OR d.router = :router)) AS s
         GROUP BY 1, 2, 3 ORDER BY 1, 2"""),
        {"period": str(period), "bins": BINS, "since": since, "router": router},
    ).all()
    groups: dict[tuple[date, str], _Sums] = defaultdict(_Sums)
    for row in rows:
        groups[row.period, ALL].add(row)
        groups[row.period, row.model].add(row)
    totals = {key[0]: sums.decisions for key, sums in groups.items() if key[1] == ALL}
    order = sorted(groups, key=lambda key: (key[0], key[1] != ALL, -groups[key].decisions, key[1]))
    return [groups[key].row(*key, totals[key[0]]) for key in order]


@dataclass(slots=True)
class _Sums:
    decisions: int = 0
    outcomes: int = 0
    variance: float = 0.0
    priced: int = 0
    cost: float = 0.0
    expected: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    observed: dict[int, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, row: Row[tuple[object, ...]]) -> None:
        self.decisions += row.decisions
        self.outcomes += row.outcomes
        self.variance += row.variance
        self.priced += row.priced
        self.cost += row.cost
        if row.bin is not None:
            place = min(row.bin, BINS)  # a probability of 1 has a bin of its own
            self.expected[place] += row.expected
            self.observed[place] += row.observed

    def row(self, period: date, model: str, total: int) -> DriftRow:
        count, share = self.outcomes, self.decisions / total
        cost = self.cost / self.priced if self.priced else None
        if not count:
            return DriftRow(
                period=period, model=model, decisions=self.decisions, share=share, outcomes=0,
                expected=None, observed=None, difference=None, margin=None,
                calibration_error=None, drifted=None, expected_cost=cost,
            )  # fmt: skip
        expected, observed = _total(self.expected) / count, _total(self.observed) / count
        margin = Z * sqrt(self.variance) / count
        gaps = [abs(self.observed[each] - self.expected[each]) for each in self.expected]
        difference = observed - expected
        return DriftRow(
            period=period,
            model=model,
            decisions=self.decisions,
            share=share,
            outcomes=count,
            expected=expected,
            observed=observed,
            difference=difference,
            margin=margin,
            calibration_error=sum(gaps) / count,
            drifted=abs(difference) > margin if count >= LEAST else None,
            expected_cost=cost,
        )


def _total(by_bin: dict[int, float]) -> float:
    return sum(by_bin.values())


def drifts(rows: Sequence[DriftRow]) -> list[DriftRow]:
    """Return the rows that drifted, all models first."""
    return [row for row in rows if row.drifted]
