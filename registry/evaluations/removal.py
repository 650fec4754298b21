"""Removals of evaluations: runs go, and with them what then stands for nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from registry.catalog.item_statistics import mark_stale
from registry.catalog.merge import drop_stubs
from registry.db.jobs import Lock, job
from registry.errors import UsageError
from registry.evaluations import benchmarks, import_log, item_statistics
from registry.evaluations.selection import wanted_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which runs are meant: those that fit all that is told, and one of each kind that is told.

    Attributes:
        files: paths as they were imported; a run is of the file that told it last.
        models: any of their names.
        benchmarks: names, all versions, or name@version.
        sources: who states the scores.
        runs: keys of runs.
        left_over: those of earlier versions of files, that the newest does not tell.
    """

    files: Sequence[str] = ()
    models: Sequence[str] = ()
    benchmarks: Sequence[str] = ()
    sources: Sequence[str] = ()
    runs: Sequence[int] = ()
    left_over: bool = False


class Removed(NamedTuple):
    """What was removed of one file (or the Hub's scores) on one benchmark."""

    file: str
    benchmark: str
    version: str
    models: int
    runs: int
    with_outcomes: int


@dataclass(frozen=True, slots=True)
class Removal:
    """What a removal did; `files` are those that nothing is left of, `stubs` names of models."""

    removed: Sequence[Removed]
    files: Sequence[str]
    stubs: Sequence[str]

    @property
    def runs(self) -> int:
        """How many went."""
        return sum(each.runs for each in self.removed)


def remove(engine: Engine, selection: Selection, *, dry_run: bool = False) -> Removal:
    """Remove runs with their outcomes and answers, in one transaction.

    With them go the records of files that no run is left of, names and stubs that no run goes by,
    and setups and sources without runs. Benchmarks, their items and aliases stay.

    Args:
        engine: of a database at head.
        selection: which runs; it says something.
        dry_run: tell what would be removed, and remove nothing.

    Raises:
        UsageError: when nothing is selected, or something that there is none of.
        ModelNotFoundError: naming a model that there is none of.
        LockHeldError: when an import is running.
    """
    if not any(getattr(selection, each.name) for each in fields(selection)):
        raise UsageError("Say what to remove: a file, model, benchmark, source or run.")
    with job(
        engine,
        "evals remove",
        lock=Lock.EVALUATIONS,
        doing="remove evaluations",
        dry_run=dry_run,
    ) as run:
        with engine.begin() as connection:
            removal = _remove(connection, selection)
            if dry_run:
                connection.rollback()
        run.summary = {"runs": removal.runs, "files": list(removal.files)[:20]}
        return removal


def _remove(connection: Connection, selection: Selection) -> Removal:
    files = _files(connection, selection.files)
    _select(connection, selection, files)
    removed = connection.execute(
        text("""
        SELECT coalesce(i.path, :hub), b.name, b.version, count(DISTINCT d.model_id), count(*),
               count(*) FILTER (WHERE d.with_outcomes)
          FROM doomed_runs d
          JOIN store.benchmarks b USING (benchmark_id)
          LEFT JOIN store.imports i USING (import_id)
         GROUP BY i.path, b.name, b.version ORDER BY i.path, b.name, b.version"""),
        {"hub": import_log.HUB},
    ).all()
    for table in ("answers", "runs"):
        connection.exec_driver_sql(
            f"DELETE FROM store.{table} o USING doomed_runs d"  # noqa: S608
            " WHERE (o.model_id, o.run_id) = (d.model_id, d.run_id)"
        )
    _recount(connection)
    return Removal(
        removed=[Removed(*row) for row in removed],
        # Of an earlier version nothing may be left, and all of the file is still there.
        files=_forget_files(connection, () if selection.left_over else files),
        stubs=_forget_names(connection),
    )


def _files(connection: Connection, paths: Sequence[str]) -> list[int]:
    """Return the keys of all versions of files."""
    keys: list[int] = []
    for path in paths:
        found = connection.scalars(
            text("SELECT import_id FROM store.imports WHERE path = :path"), {"path": path}
        ).all()
        if not found:
            raise UsageError(
                f"No file was imported as {path}; column file of view runs has the paths as they "
                "were given."
            )
        keys += found
    return keys


def _select(connection: Connection, selection: Selection, files: Sequence[int]) -> None:
    """Put the runs that are meant into a temporary table."""
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE doomed_runs (
            model_id bigint, run_id bigint, benchmark_id integer, setup_id integer,
            source_id integer, name_id integer, import_id integer, with_outcomes boolean
        ) ON COMMIT DROP""")
    wanted = wanted_keys(
        connection, selection.models or None, selection.benchmarks or None,
        selection.sources or None,
    )  # fmt: skip
    if selection.runs:
        _refuse_unknown_runs(connection, selection.runs)
    keys = {
        "import_id": files if selection.files else None,
        "model_id": wanted.models,
        "benchmark_id": wanted.benchmarks,
        "source_id": wanted.sources,
        "run_id": selection.runs or None,
    }
    told = {column: list(chosen) for column, chosen in keys.items() if chosen is not None}
    conditions = [f"r.{column} = ANY (CAST(:{column} AS bigint[]))" for column in told]
    if selection.left_over:
        conditions.append("""
            EXISTS (SELECT FROM store.imports mine, store.imports newer
                     WHERE mine.import_id = r.import_id AND newer.path = mine.path
                       AND newer.sha256 <> mine.sha256 AND newer.imported_at > mine.imported_at)""")
    connection.execute(
        text(f"""
        INSERT INTO doomed_runs
        SELECT r.model_id, r.run_id, r.benchmark_id, r.setup_id, r.source_id, r.name_id,
               r.import_id, r.right_bits IS NOT NULL
          FROM store.runs r WHERE {" AND ".join(conditions)}"""),  # noqa: S608
        told,
    )
    connection.exec_driver_sql("ANALYZE doomed_runs")


def _refuse_unknown_runs(connection: Connection, keys: Sequence[int]) -> None:
    query = text("SELECT run_id FROM store.runs WHERE run_id = ANY (CAST(:keys AS bigint[]))")
    known = set(connection.scalars(query, {"keys": list(keys)}))
    for key in keys:
        if key not in known:
            raise UsageError(f"There is no run {key}; column run of view runs has their keys.")


def _recount(connection: Connection) -> None:
    """Have benchmarks show the measure that is commonest now, and count their items' outcomes."""
    touched = connection.execute(
        text("""
        SELECT benchmark_id, bool_or(with_outcomes) AS with_outcomes
          FROM doomed_runs GROUP BY benchmark_id""")
    ).all()
    mark_stale(connection, [row.benchmark_id for row in touched if row.with_outcomes])
    benchmarks.show_commonest(connection, [row.benchmark_id for row in touched])
    item_statistics.refresh(connection)


def _forget_files(connection: Connection, files: Sequence[int]) -> list[str]:
    """Forget the files named, and those whose last run went; return their paths."""
    return list(
        connection.scalars(
            text("""
            WITH forgotten AS (
                DELETE FROM store.imports i
                 WHERE (i.import_id = ANY (CAST(:files AS integer[]))
                        OR i.import_id IN (SELECT import_id FROM doomed_runs))
                   AND NOT EXISTS (SELECT FROM store.runs r WHERE r.import_id = i.import_id)
                RETURNING i.import_id, i.path
            )
            SELECT DISTINCT path FROM forgotten f
             WHERE NOT EXISTS (
                       SELECT FROM store.imports i
                        WHERE i.path = f.path
                          AND NOT EXISTS (SELECT FROM forgotten o WHERE o.import_id = i.import_id))
             ORDER BY path"""),
            {"files": list(files)},
        )
    )


def _forget_names(connection: Connection) -> list[str]:
    """Forget setups, sources and names that no run is of any more; return the stubs' names."""
    for table, key in (("setups", "setup_id"), ("sources", "source_id")):
        connection.exec_driver_sql(
            f"DELETE FROM store.{table} t"  # noqa: S608
            f" WHERE t.{key} IN (SELECT {key} FROM doomed_runs)"
            f"   AND NOT EXISTS (SELECT FROM store.runs r WHERE r.{key} = t.{key})"
        )
    models = connection.scalars(
        text("""
        DELETE FROM store.evaluated_names n
         WHERE n.name_id IN (SELECT name_id FROM doomed_runs)
           AND NOT EXISTS (SELECT FROM store.runs r WHERE r.name_id = n.name_id)
        RETURNING n.model_id""")
    ).all()
    return sorted(drop_stubs(connection, models))
