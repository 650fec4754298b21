"""Complete scores: models with a score on each of several benchmarks, for what takes no holes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sqlalchemy import Engine

from registry.analysis.statistics.score_frame import FrameOptions, ScoreFrame, read_frame
from registry.errors import UsageError
from registry.learning.arrays import Places
from registry.learning.statistics.one_way import is_constant


def read_complete(
    engine: Engine, options: FrameOptions, *, models: int, benchmarks: int, doing: str
) -> ScoreFrame:
    """Read the frame of models with a score on each benchmark.

    Where no benchmark is named it is the block of the most scores. Benchmarks on which all scores
    are alike are left out. Both is noted.

    Args:
        engine: of a database at head.
        options: which scores.
        models: that are needed.
        benchmarks: that are needed.
        doing: what needs them.

    Raises:
        UsageError: as `read_frame` does, and where there are fewer.
    """
    frame = read_frame(engine, replace(options, complete=True))
    varying = [
        place for place in range(len(frame.benchmarks))
        if not is_constant(frame.values[:, place])
    ]  # fmt: skip
    for place in sorted(set(range(len(frame.benchmarks))) - set(varying)):
        frame.notes.append(f"{frame.benchmarks[place].title}: left out, as all scores are alike.")
    if len(frame.models) < models or len(varying) < benchmarks:
        raise UsageError(
            f"{doing} takes {models} models with scores on {benchmarks} benchmarks that are not"
            f" all alike; {len(frame.models)} have all on {len(varying)}. Name benchmarks of the"
            " same models, or give a wider slice."
        )
    return _part(frame, np.arange(len(frame.models)), varying)


def _part(frame: ScoreFrame, rows: Places, columns: Sequence[int]) -> ScoreFrame:
    cells = np.ix_(rows, np.asarray(columns, np.intp))
    return replace(
        frame,
        models=[frame.models[row] for row in rows],
        benchmarks=[frame.benchmarks[column] for column in columns],
        values=frame.values[cells],
        sizes=frame.sizes[rows],
        codes=frame.codes[cells],
        runs=None if frame.runs is None else frame.runs[cells],
        stated=[frame.stated[column] for column in columns] if frame.stated else (),
        settings=[frame.settings[column] for column in columns] if frame.settings else (),
    )


def groups_of_models(frame: ScoreFrame, least: int, notes: list[str]) -> Places:
    """Return the group of each model; -1 where it is in none, in several, or in a small one.

    Args:
        frame: with a score on each benchmark.
        least: models with which a group counts.
        notes: to which groups are added that do not count.
    """
    codes = frame.codes[:, 0].copy()
    codes[(frame.codes != codes[:, None]).any(axis=1)] = -1
    for place in range(len(frame.groups)):
        if 0 < (count := int((codes == place).sum())) < least:
            said = "1 model" if count == 1 else f"{count} models"
            notes.append(f"{frame.groups[place]}: no group, with {said} here.")
            codes[codes == place] = -1
    return codes
