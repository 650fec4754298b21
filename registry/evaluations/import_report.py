"""Reports of imports: what became of each file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from registry.catalog.resolution import Stated
from registry.evaluations.load import Written


@dataclass(slots=True)
class FileReport:
    """What became of one file.

    `status` is imported, unchanged (all of it was known), failed (nothing of it landed; `error`
    says why) or skipped (no format fits; only of files found in a folder). `replaced` counts the
    runs that were told otherwise before, by the file that they were from (or the Hub), and
    `left_over` those of earlier versions of this file that it does not tell any more.
    """

    path: str
    format: str | None = None
    status: str = "skipped"
    written: Written = field(default_factory=Written)
    names: Stated = field(default_factory=lambda: Stated(0, 0, 0))
    left_out: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[str, int] = field(default_factory=dict)
    left_over: int = 0
    error: str | None = None

    def fail(self, error: str) -> None:
        """Say that nothing of the file landed, and why."""
        self.status, self.error = "failed", error
        self.written, self.names = Written(), Stated(0, 0, 0)
        self.replaced, self.left_over = {}, 0


def counts(report: FileReport) -> dict[str, object]:
    """Return the counts of a report by name, for people and programs alike."""
    written = report.written
    return {
        "runs": written.runs,
        "new": written.added,
        "changed": written.changed,
        "unchanged": written.unchanged,
        "outcomes": written.outcomes,
        "new_items": written.items_added,
        "unresolved": written.unresolved,
        "aliases": report.names.added,
        "left_out": dict(report.left_out),
        "replaced": dict(report.replaced),
        "left_over": report.left_over,
    }


def summary(reports: Sequence[FileReport]) -> dict[str, object]:
    """Return what is kept in the log of jobs."""
    statuses = [report.status for report in reports]
    return {
        "files": len(reports),
        **{status: statuses.count(status) for status in sorted(set(statuses))},
        "runs": sum(report.written.runs for report in reports),
        "new": sum(report.written.added for report in reports),
        "outcomes": sum(report.written.outcomes for report in reports),
        "errors": [report.error for report in reports if report.error][:20],
    }
