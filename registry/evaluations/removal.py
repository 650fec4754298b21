"""Removal of runs, and of the names, setups, sources and files that only they used."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from registry.catalog.facts.statements import delete_facts
from registry.catalog.item_statistics import mark_stale
from registry.catalog.merge import drop_stubs
from registry.db.copy import copy_rows
from registry.db.jobs import Lock, job
from registry.errors import UsageError
from registry.evaluations import benchmarks, import_log, item_statistics, staging
from registry.evaluations.identity.statements import hand_over
from registry.evaluations.remote.inputs import place_of
from registry.evaluations.selection import RunSelection, benchmarks_by_key

_IS_OLDER = """
EXISTS (SELECT FROM store.imports mine, store.imports newer
         WHERE mine.import_id = r.import_id AND newer.path = mine.path
           -- A relative path, as earlier versions had, may be that of two files.
           AND mine.path ~ '^(/|[a-zA-Z]:|[a-z0-9]+://)'
           AND newer.sha256 <> mine.sha256 AND newer.imported_at > mine.imported_at)"""
"""Whether the file of a run, or of an import, `r` was imported again with other content."""

_REMOVED_RUNS = """
CREATE TEMPORARY TABLE IF NOT EXISTS removed_runs (
    model_id bigint, run_id bigint, benchmark_id integer, setup_id integer, source_id integer,
    name_id integer, import_id integer, with_outcomes boolean) ON COMMIT DROP;
CREATE TEMPORARY TABLE IF NOT EXISTS former_readings (
    model_id bigint, run_id bigint, reason text) ON COMMIT DROP;
TRUNCATE removed_runs, former_readings
"""

_REMOVED = """
SELECT r.model_id, r.run_id, r.benchmark_id, r.setup_id, r.source_id, r.name_id, r.import_id,
       r.right_bits IS NOT NULL
  FROM store.runs r"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalSelection(RunSelection):
    """Runs that fit all conditions, and one of the values of each; at least one is given.

    Attributes:
        files: paths, or addresses as imports report them; a run is of the file that stated it last.
        runs: keys of runs.
        left_over: only runs of earlier versions of files that are not in the newest.
    """

    files: Sequence[str] = ()
    runs: Sequence[int] = ()
    left_over: bool = False

    def benchmark_keys(self, connection: Connection) -> list[int]:
        """Look up the keys of the benchmarks that are named, each stored by one name.

        Raises:
            UsageError: naming a benchmark that does not exist, or is stored by several names.
        """
        for name in self.benchmarks:
            stored = sorted(set(benchmarks_by_key(connection, name).values()))
            if len(stored) > 1:
                raise UsageError(
                    f"{name!r} stands for several benchmarks; name those to remove: "
                    f"{', '.join(stored)}."
                )
        return RunSelection.benchmark_keys(self, connection)


class RemovedRuns(NamedTuple):
    """Numbers of runs removed of one file (or of the Hub) on one benchmark."""

    file: str
    benchmark: str
    version: str
    models: int
    runs: int
    with_outcomes: int


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """The result of a removal: runs, files without any run left, and names of deleted stubs."""

    removed: Sequence[RemovedRuns]
    files: Sequence[str]
    stubs: Sequence[str]

    @property
    def runs(self) -> int:
        """Number of removed runs."""
        return sum(each.runs for each in self.removed)


def remove(engine: Engine, selection: RemovalSelection, *, dry_run: bool = False) -> RemovalReport:
    """Remove runs with their outcomes and answers, in one transaction.

    With them go records of files, spellings, stubs, setups and sources that no other run uses.
    Benchmarks, their items and aliases stay.

    Args:
        engine: of a database at head.
        selection: which runs.
        dry_run: report what would be removed, and remove nothing.

    Raises:
        UsageError: when there is no condition, or something named does not exist.
        ModelNotFoundError: naming a model that does not exist.
        LockHeldError: when another process changes evaluations.
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


def _remove(connection: Connection, selection: RemovalSelection) -> RemovalReport:
    files = _files(connection, selection.files)
    if files:
        # What another file states as well stays, as its; of what is left over the newest version is
        # such a file, and its own runs stay too.
        hand_over(connection, _older(connection, files) if selection.left_over else files)
    _select(connection, selection, files)
    removed = connection.execute(
        text("""
        SELECT coalesce(i.path, :hub), b.name, b.version, count(DISTINCT d.model_id), count(*),
               count(*) FILTER (WHERE d.with_outcomes)
          FROM removed_runs d
          JOIN store.benchmarks b USING (benchmark_id)
          LEFT JOIN store.imports i USING (import_id)
         GROUP BY i.path, b.name, b.version ORDER BY i.path, b.name, b.version"""),
        {"hub": import_log.HUB},
    ).all()
    _delete_runs(connection)
    if files and not selection.left_over:
        connection.execute(
            text("DELETE FROM store.restated_runs WHERE import_id = ANY (:files)"), {"files": files}
        )
    _recount(connection)
    # An earlier version may be without runs while the newest has all of them.
    paths, models = _delete_files(connection, () if selection.left_over else files)
    return RemovalReport(
        removed=[RemovedRuns(*row) for row in removed],
        files=paths,
        stubs=_delete_unused(connection, models),
    )


def remove_former_readings(
    connection: Connection, import_id: int, now: datetime, *, same_options: bool
) -> int:
    """Remove the runs that a file was read as before, where it is read otherwise now.

    A newer version of the registry, or other options, may find another model or setup in the same
    scores of the same file. Each removed score is listed as changed.

    Args:
        connection: in the file's transaction; its runs are staged still, and merged.
        import_id: of the file.
        now: when.
        same_options: whether the file was always read with the present options.

    Returns:
        How many runs were removed.
    """
    return remove_readings(
        connection,
        staging.earlier_readings(connection, import_id, same_options=same_options),
        now,
    )


def remove_readings_of_parts(
    connection: Connection, parts: Sequence[str], whole: str, now: datetime
) -> dict[int | None, int]:
    """Remove the runs of files that were read on their own before, and with another one now.

    Args:
        connection: in the transaction of the other file.
        parts: places of the files.
        whole: what the other file is called.
        now: when.

    Returns:
        How many runs were removed, by their import.
    """
    imports = connection.scalars(
        text("SELECT import_id FROM store.imports WHERE path = ANY (:parts)"),
        {"parts": list(parts)},
    ).all()
    if not imports:
        return {}
    hand_over(connection, imports)
    rows = connection.execute(
        text("""
        SELECT import_id, model_id, run_id FROM store.runs WHERE import_id = ANY (:imports)"""),
        {"imports": list(imports)},
    ).all()
    remove_readings(
        connection, [(row.model_id, row.run_id, f"read with {whole}") for row in rows], now
    )
    return dict(Counter(row.import_id for row in rows))


def remove_readings(
    connection: Connection, former: Sequence[tuple[int, int, str]], now: datetime
) -> int:
    """Remove runs that are read otherwise now, and list their scores as changed.

    Args:
        connection: in a transaction.
        former: keys of models and runs, and what the scores are now of.
        now: when.

    Returns:
        How many runs were removed.
    """
    if not former:
        return 0
    connection.exec_driver_sql(_REMOVED_RUNS)
    copy_rows(connection, "former_readings", ("model_id", "run_id", "reason"), former)
    connection.execute(
        text("""
        INSERT INTO store.score_changes (
               model_id, run_id, changed_at, old_score, reason, name, benchmark_id, measure_id,
               import_id)
        SELECT r.model_id, r.run_id, :now,
               coalesce(store.share(r.score, m.lower, m.upper, m.higher_is_better), r.score),
               f.reason, o.name, r.benchmark_id, r.measure_id, r.import_id
          FROM former_readings f
          JOIN store.runs r USING (model_id, run_id) JOIN store.measures m USING (measure_id)
          JOIN store.models o USING (model_id)
         -- An upgrade has listed what is outside its bounds, as a score that measures nothing.
         WHERE NOT (m.upper > m.lower
                    AND store.share(r.score, m.lower, m.upper, m.higher_is_better) IS NULL
                    AND EXISTS (SELECT FROM store.score_changes c
                                 WHERE (c.model_id, c.run_id) = (r.model_id, r.run_id)
                                   AND c.new_score IS NULL))
            ON CONFLICT DO NOTHING"""),
        {"now": now},
    )
    connection.exec_driver_sql(f"""
        INSERT INTO removed_runs {_REMOVED}
          JOIN former_readings USING (model_id, run_id)""")
    _delete_runs(connection)
    _recount(connection)
    _delete_unused(connection, ())
    return len(former)


def _delete_runs(connection: Connection) -> None:
    for table in ("answers", "runs"):
        connection.exec_driver_sql(
            f"DELETE FROM store.{table} o USING removed_runs d"  # noqa: S608
            " WHERE (o.model_id, o.run_id) = (d.model_id, d.run_id)"
        )
    connection.exec_driver_sql(
        "DELETE FROM store.restated_runs s USING removed_runs d WHERE s.run_id = d.run_id"
    )


def _files(connection: Connection, paths: Sequence[str]) -> list[int]:
    """Return the keys of all versions of files."""
    keys: list[int] = []
    for path in paths:
        query = text("SELECT import_id FROM store.imports WHERE path = :path")
        # As it was typed: of imports by earlier versions of the registry, which may be of another
        # file of that name.
        versions = (
            connection.scalars(query, {"path": place_of(path)}).all()
            or connection.scalars(query, {"path": path}).all()
        )
        if not versions:
            raise UsageError(
                f"No file was imported as {path}; column file of view runs has their paths and "
                "addresses."
            )
        keys += versions
    return keys


def _older(connection: Connection, files: Sequence[int]) -> Sequence[int]:
    """Return which versions of files have a newer one."""
    return connection.scalars(
        text(f"""
        SELECT r.import_id FROM store.imports r
         WHERE r.import_id = ANY (:files) AND {_IS_OLDER}"""),  # noqa: S608 - fixed text
        {"files": list(files)},
    ).all()


def _select(connection: Connection, selection: RemovalSelection, files: Sequence[int]) -> None:
    """Put the selected runs into a temporary table."""
    connection.exec_driver_sql(_REMOVED_RUNS)
    keys = selection.keys(connection)
    if selection.runs:
        _refuse_unknown_runs(connection, selection.runs)
    columns = {
        "import_id": files,
        "model_id": keys.models,
        "benchmark_id": keys.benchmarks,
        "source_id": keys.sources,
        "run_id": selection.runs,
    }
    values = {column: list(chosen) for column, chosen in columns.items() if chosen}
    conditions = [f"r.{column} = ANY (CAST(:{column} AS bigint[]))" for column in values]
    if selection.left_over:
        conditions.append(_IS_OLDER)
    connection.execute(
        text(f"""
        INSERT INTO removed_runs {_REMOVED} WHERE {" AND ".join(conditions)}"""),
        values,
    )
    connection.exec_driver_sql("ANALYZE removed_runs")


def _refuse_unknown_runs(connection: Connection, keys: Sequence[int]) -> None:
    query = text("SELECT run_id FROM store.runs WHERE run_id = ANY (CAST(:keys AS bigint[]))")
    existing = set(connection.scalars(query, {"keys": list(keys)}))
    for key in keys:
        if key not in existing:
            raise UsageError(f"There is no run {key}; column run of view runs has their keys.")


def _recount(connection: Connection) -> None:
    """Choose the shown measures of the benchmarks again, and compute their item statistics."""
    touched = connection.execute(
        text("""
        SELECT benchmark_id, bool_or(with_outcomes) AS with_outcomes
          FROM removed_runs GROUP BY benchmark_id""")
    ).all()
    mark_stale(connection, [row.benchmark_id for row in touched if row.with_outcomes])
    benchmarks.choose_measures(connection, [row.benchmark_id for row in touched])
    item_statistics.refresh(connection)


def _delete_files(connection: Connection, files: Sequence[int]) -> tuple[list[str], list[int]]:
    """Delete the records of files without runs, and the facts that these files state.

    Returns:
        The paths without any record left, and the keys of the models of such facts.
    """
    deleted = connection.execute(
        text("""
        DELETE FROM store.imports i
         WHERE (i.import_id = ANY (CAST(:files AS integer[]))
                OR i.import_id IN (SELECT import_id FROM removed_runs))
           AND NOT EXISTS (SELECT FROM store.runs r WHERE r.import_id = i.import_id)
           AND NOT EXISTS (SELECT FROM store.restated_runs s WHERE s.import_id = i.import_id)
        RETURNING i.import_id, i.path"""),
        {"files": list(files)},
    ).all()
    models = delete_facts(connection, [row.import_id for row in deleted])
    paths = {row.path for row in deleted}
    left = connection.scalars(
        text("SELECT path FROM store.imports WHERE path = ANY (:paths)"), {"paths": list(paths)}
    )
    return sorted(paths.difference(left)), models


_WITHOUT_FACTS = " AND NOT EXISTS (SELECT FROM store.model_facts f WHERE f.source_id = t.source_id)"


def _delete_unused(connection: Connection, models: Sequence[int]) -> list[str]:
    """Delete setups, sources, spellings and stubs that no run uses; return the stubs' names."""
    for table, key in (("setups", "setup_id"), ("sources", "source_id")):
        connection.exec_driver_sql(
            f"DELETE FROM store.{table} t"  # noqa: S608
            f" WHERE t.{key} IN (SELECT {key} FROM removed_runs)"
            f"   AND NOT EXISTS (SELECT FROM store.runs r WHERE r.{key} = t.{key})"
            + (_WITHOUT_FACTS if table == "sources" else "")
        )
    named = connection.scalars(
        text("""
        DELETE FROM store.evaluated_names n
         WHERE (n.name_id IN (SELECT name_id FROM removed_runs)
                OR (n.model_id = ANY (:models)
                    AND NOT EXISTS (SELECT FROM store.model_facts f
                                     WHERE f.model_id = n.model_id)))
           AND NOT EXISTS (SELECT FROM store.runs r WHERE r.name_id = n.name_id)
        RETURNING n.model_id"""),
        {"models": list(models)},
    ).all()
    return sorted(drop_stubs(connection, named))
