"""Import of sets of domains from files, all sets of a file or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from registry.db.jobs import Lock, job
from registry.prediction.domains import domain_storage
from registry.prediction.domains.domain_sets import read_sets


@dataclass(frozen=True, slots=True)
class DomainSetReport:
    """What the import of a set did: its domains, and whether it differs from the one before."""

    name: str
    domains: int
    changed: bool


def import_sets(engine: Engine, path: Path, name: str | None = None) -> Sequence[DomainSetReport]:
    """Import the sets of a file; a set of the same name that differs is replaced.

    Args:
        engine: of a database at head.
        path: of the file, as for `domain_sets.read_sets`.
        name: of its only set; None: as the file has it.

    Raises:
        UsageError: naming the file, its line or field, and what to do.
        ModelNotFoundError: for a stated expert that is no model.
        LockHeldError: when a training is running.
    """
    sets = read_sets(path, name)
    with (
        job(engine, "domains import", lock=Lock.TRAINING, doing="import domains") as run,
        engine.begin() as connection,
    ):
        reports = [
            DomainSetReport(
                each.name, len(each.domains), domain_storage.write_set(connection, each)
            )
            for each in sets
        ]
        run.summary = {"sets": [each.name for each in reports if each.changed]}
        return reports
