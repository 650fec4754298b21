"""Promotion of a version: other models get vectors of it first, and then it is current.

The version before serves until then, whole, whatever readers do: a reader sees that one or this
one.
"""

from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.embeddings import versions
from registry.embeddings.versions import EmbeddingVersion
from registry.errors import LockHeldError, RegistryError
from registry.workers import Progress, no_progress

if TYPE_CHECKING:
    from registry.embeddings.placement import PlacementReport

PATIENCE = 600.0
"""Seconds to wait for another placement, as of a sync; a line says so."""


@dataclass(frozen=True, slots=True)
class Published:
    """Result of a publication.

    Attributes:
        version: after it.
        before: number of the version that was current before; None without one.
        placement: counts of models placed in the version; None where none were.
    """

    version: EmbeddingVersion
    before: int | None
    placement: "PlacementReport | None" = None


def promote(
    engine: Engine,
    number: int,
    *,
    force: bool = False,
    patience: float = PATIENCE,
    on_progress: Progress = no_progress,
) -> Published:
    """Give all models vectors of a version, then make it current.

    Args:
        engine: of a database at head.
        number: of the version; nothing changes if it is current already.
        force: promote it even if it was refused.
        patience: seconds to wait for another placement.
        on_progress: receives the progress.

    Raises:
        UsageError: when there is no such version, or it was refused and is not forced.
        LockHeldError: when another placement runs for too long; nothing has changed.
    """
    with translated_errors("promote a version"):
        with reading(engine) as connection:
            chosen = versions.promotable(connection, number, force=force)
        report = None
        if not chosen.current:
            report = complete(engine, number, on_progress, patience=patience)
        versions.wait_for_readers(engine)
        with engine.begin() as connection:
            before = versions.current_number(connection)
            version = versions.promote(connection, number, force=force)
            return Published(version, before, report)


def rollback(engine: Engine, *, on_progress: Progress = no_progress) -> Published:
    """Give all models vectors of the version that was current before, then make it current again.

    Args:
        engine: of a database at head.
        on_progress: receives the progress.

    Raises:
        RegistryError: when there is no current version, none before it, or another command has made
            a third one current meanwhile.
    """
    with translated_errors("roll back to a version"):
        with reading(engine) as connection:
            current, number = (
                versions.read_version(connection).version,
                versions.previous(connection),
            )
        report = None
        # Going back is urgent: it was whole when it was current, and what came since can wait.
        with suppress(LockHeldError):
            report = complete(engine, number, on_progress, patience=0)
        versions.wait_for_readers(engine)
        with engine.begin() as connection:
            before = versions.current_number(connection)
            if before == number:
                # Another rollback was quicker; one more step back is not what was asked for.
                return Published(versions.read_version(connection), current, report)
            if before != current:
                raise RegistryError(
                    f"Nothing was rolled back: version {before} is current now, and {current} was "
                    "when this began. `registry embeddings list` shows them."
                )
            return Published(versions.rollback(connection), before, report)


def complete(
    engine: Engine, number: int, on_progress: Progress, *, patience: float = PATIENCE
) -> "PlacementReport | None":
    """Give all models vectors of a version that is not current.

    Without the extra that placing takes, nothing is done: it will be current with its trained
    vectors alone.

    Args:
        engine: of a database at head.
        number: of the version.
        on_progress: receives the progress.
        patience: seconds to wait for another placement.

    Returns:
        None where there was nothing to do.

    Raises:
        LockHeldError: when another placement runs for too long.
    """
    if find_spec("scipy") is None:
        return None
    # Loads numpy and scipy, which a promotion without placing does not need.
    from registry.embeddings import placement  # noqa: PLC0415

    def place() -> "PlacementReport | None":
        return placement.complete(engine, number, patience=patience, on_progress=on_progress)

    report = place()
    # What a sync brought meanwhile has a vector of the version before, and is to keep having one.
    if report is not None:
        place()
    return report
