"""Stored analyses: found again where nothing has changed, else written with all results or not."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from importlib.metadata import version
from time import monotonic
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import orjson
from sqlalchemy import Connection, Engine, Table, insert, select, text

from registry.analysis.statistics.score_frame import FrameOptions
from registry.db.connection import reading, writing
from registry.enums import AnalysisKind
from registry.errors import UsageError
from registry.version import __version__

LIBRARIES = ("numpy", "scipy", "statsmodels")
"""Packages whose versions are stored with each analysis: results may depend on them."""

FITTED_BY = {AnalysisKind.GAM: ["gamrs"], AnalysisKind.MIXED: ["mixedlm"]}
"""Others, by the kind of analysis."""

Result = TypeVar("Result")

ResultRows: TypeAlias = Mapping[Table[Any], Sequence[Any]]
"""Rows by table of results, as dataclasses of its columns."""


class AnalysisSource(Protocol):
    """What an analysis is computed from, such as a frame of scores."""

    @property
    def models(self) -> Sequence[str]:
        """Names of the models."""

    @property
    def count(self) -> int:
        """Number of scores or outcomes."""

    @property
    def tested(self) -> tuple[int, int]:
        """Numbers of models and of scores or outcomes that results are of, once computed."""

    @property
    def notes(self) -> Sequence[str]:
        """What was left out, and why."""

    def fingerprint(self) -> str:
        """Return a digest of all that results are computed from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRequest:
    """What is to be computed.

    Attributes:
        kind: of analysis.
        condition: SQL on models; None for all.
        options: all others.
        seed: of random numbers; None where nothing is drawn.
        libraries: packages that compute.
    """

    kind: AnalysisKind
    condition: str | None
    options: Mapping[str, Any]
    seed: int | None = None
    libraries: Sequence[str] = LIBRARIES

    @classmethod
    def of(
        cls, kind: AnalysisKind, frame: FrameOptions, *, level: float, **more: Any
    ) -> "AnalysisRequest":
        """Return the request for an analysis of a frame, by the options that bear on it.

        Args:
            kind: of analysis.
            frame: options of the frame.
            level: share of intervals that hold what they are of.
            more: options of this kind of analysis alone.
        """
        options: dict[str, Any] = {
            "benchmarks": None if frame.benchmarks is None else sorted(set(frame.benchmarks)),
            "complete": frame.complete,
            "source": frame.source,
            "level": level,
        }
        if frame.grouping is not None:
            options |= {"grouping": str(frame.grouping), "least": frame.least, "most": frame.most}
            if frame.grouping == "size":
                options["cuts"] = list(map(float, frame.cuts))
        return cls(
            kind=kind, condition=frame.condition, options=options | more,
            libraries=(*LIBRARIES, *FITTED_BY.get(kind, ())),
        )  # fmt: skip

    def digest(self) -> str:
        """Return what identifies the request, by this version of the registry and its libraries."""
        parts = [
            self.kind, self.condition, self.options, self.seed, __version__,
            library_versions(self.libraries),
        ]  # fmt: skip
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnalysis:
    """An analysis, as view `registry.analyses` has it.

    Attributes:
        analysis_id: its number.
        kind: of analysis.
        created_at: UTC.
        model_count: models with a score or outcome.
        row_count: scores or outcomes.
        tested_models: models that results are of; None of analyses that did not count them.
        tested_scores: scores or outcomes that results are of, likewise.
        notes: what was left out, and why.
        reused: whether it had been stored before.
    """

    analysis_id: int
    kind: str
    created_at: datetime
    model_count: int
    row_count: int
    tested_models: int | None
    tested_scores: int | None
    notes: Sequence[str]
    reused: bool


def library_versions(names: Sequence[str] = LIBRARIES) -> dict[str, str]:
    """Return the versions of the packages that compute."""
    return {name: version(name) for name in names}


def find_analysis(
    connection: Connection, request: AnalysisRequest, fingerprint: str
) -> StoredAnalysis | None:
    """Return the analysis of the same request on the same data, if one is stored."""
    row = connection.execute(
        text("""
        SELECT analysis_id, kind, created_at, model_count, row_count, tested_models,
               tested_scores, notes
          FROM store.analyses WHERE request = :request AND data_fingerprint = :fingerprint"""),
        {"request": request.digest(), "fingerprint": fingerprint},
    ).one_or_none()
    return None if row is None else StoredAnalysis(**row._mapping, reused=True)  # noqa: SLF001


def check_level(level: float) -> None:
    """Check the share of intervals that hold what they are of.

    Raises:
        UsageError: unless it is in (0, 1).
    """
    if not 0 < level < 1:
        raise UsageError(f"The level of intervals is between 0 and 1, not {level:g}.")


def check_seed(seed: int) -> None:
    """Check a seed of random numbers.

    Raises:
        UsageError: unless it is from 0 to 2**32 - 1, as numpy takes it.
    """
    if not 0 <= seed < 2**32:
        raise UsageError(f"A seed is a whole number from 0 to {2**32 - 1}, not {seed}.")


def analysed_once(
    engine: Engine,
    request: AnalysisRequest,
    source: AnalysisSource,
    compute: Callable[[list[str]], ResultRows],
) -> StoredAnalysis:
    """Return the analysis of a request on data: as it is stored, else computed and stored whole.

    No connection is open while it is computed.

    Args:
        engine: of a database at head.
        request: what is to be computed.
        source: that it is computed from.
        compute: returns the results, and adds to the notes that it is given, which begin as those
            of the source.
    """
    with reading(engine) as connection:
        found = find_analysis(connection, request, source.fingerprint())
    if found is not None:
        return found
    begun, notes = monotonic(), list(source.notes)
    results = compute(notes)
    seconds = monotonic() - begun
    with writing(engine) as connection:
        return store_analysis(connection, request, source, results, notes=notes, seconds=seconds)


def store_analysis(
    connection: Connection,
    request: AnalysisRequest,
    source: AnalysisSource,
    results: ResultRows,
    *,
    notes: Sequence[str],
    seconds: float,
) -> StoredAnalysis:
    """Store an analysis with its results, or return the one that another has stored meanwhile.

    Args:
        connection: in the transaction of which all is stored.
        request: what was computed.
        source: that it was computed from.
        results: rows by table, as dataclasses of its columns.
        notes: those of the source, and those of the analysis.
        seconds: that it took.
    """
    row = connection.execute(
        text("""
        INSERT INTO store.analyses
               (kind, created_at, slice, options, model_count, row_count, tested_models,
                tested_scores, request,
                data_fingerprint, code_version, libraries, seed, seconds, notes)
        VALUES (:kind, clock_timestamp(), :slice, CAST(:options AS jsonb), :model_count, :row_count,
                :tested_models, :tested_scores, :request, :fingerprint, :code_version,
                CAST(:libraries AS jsonb), :seed, :seconds, :notes)
            ON CONFLICT (request, data_fingerprint) DO NOTHING
        RETURNING analysis_id, kind, created_at, model_count, row_count, tested_models,
                  tested_scores, notes"""),
        {
            "kind": str(request.kind),
            "slice": request.condition,
            "options": orjson.dumps(request.options).decode(),
            "model_count": len(source.models),
            "row_count": source.count,
            "tested_models": source.tested[0],
            "tested_scores": source.tested[1],
            "request": request.digest(),
            "fingerprint": source.fingerprint(),
            "code_version": __version__,
            "libraries": orjson.dumps(library_versions(request.libraries)).decode(),
            "seed": request.seed,
            "seconds": seconds,
            "notes": list(notes),
        },
    ).one_or_none()
    if row is None:
        found = find_analysis(connection, request, source.fingerprint())
        assert found is not None
        return found
    for table, rows in results.items():
        if rows:
            connection.execute(
                insert(table),
                [{"analysis_id": row.analysis_id, **asdict(each)} for each in rows],
            )
    return StoredAnalysis(**row._mapping, reused=False)  # noqa: SLF001


def read_results(
    connection: Connection, table: Table[Any], kind: type[Result], analysis_id: int
) -> list[Result]:
    """Return the rows of an analysis in a table of results, in the order of their keys."""
    columns = [table.c[field.name] for field in fields(kind)]  # type: ignore[arg-type]
    found = connection.execute(
        select(*columns)
        .where(table.c.analysis_id == analysis_id)
        .order_by(*list(table.primary_key.columns)[1:])
    )
    return [kind(**row._mapping) for row in found]  # noqa: SLF001


def known(value: float) -> float | None:
    """Return a number as it is stored: None where it is not defined."""
    return float(value) if np.isfinite(value) else None
