"""Storage of a version of the score model: current at the commit, and the one before emptied."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.db.binary_copy import Column, copy_in
from registry.embeddings.model_features import CatalogExtent
from registry.learning.arrays import Places
from registry.learning.scores import blocks
from registry.learning.scores.blocks import CrossedBlocks
from registry.learning.scores.conformal import GROUPS
from registry.learning.scores.score_fit import ScoreFit
from registry.prediction.scores.table import ScoreTable
from registry.version import __version__

_DATA = ("abilities", "fitted_scores", "benchmark_loadings", "prediction_intervals")

COVERED = (0.85, 0.95)
"""Share of held-out scores that 90% intervals of a reliable version hold."""

JUDGED = 100
"""Held-out scores from which a group of them alone can make a version unreliable."""


CROSSED = len(GROUPS)
"""Group of evidence of predictions from scores of other blocks alone, after those of `GROUPS`."""


def figures(fit: ScoreFit, crossed: CrossedBlocks) -> dict[str, dict[str, float | int | None]]:
    """Return the figures on held-out scores, as JSON has them: null where there are none."""
    found = {
        name: {field: None if np.isnan(value) else value for field, value in each._asdict().items()}
        for name, each in fit.held_out.items()
    }
    if crossed.figures:
        found[blocks.NAME] = {"scores": crossed.hidden, **crossed.figures}
    return found


def reliable(held_out: Mapping[str, Mapping[str, float | int | None]]) -> bool:
    """Return whether 90% intervals held 85 to 95% of held-out scores, of all and of each group."""
    low, high = COVERED
    return all(
        low <= (each["coverage"] or 0) <= high
        for name, each in held_out.items()
        if name == "all" or (each["scores"] or 0) >= JUDGED
    )


def bits(places: Places) -> NDArray[np.int64]:
    """Return the bit of each block; those beyond the 62nd share one."""
    return np.left_shift(np.int64(1), np.minimum(places, 62).astype(np.int64))


def create(
    connection: Connection,
    fit: ScoreFit,
    crossed: CrossedBlocks,
    table: ScoreTable,
    *,
    fitted: bytes,
    extent: CatalogExtent,
    seed: int,
    seconds: float,
    settings: Mapping[str, Any],
) -> int:
    """Store a version without abilities, current in place of the one before; return its number.

    Args:
        connection: in a transaction that then stores the abilities.
        fit: what is stored.
        crossed: its predictions from scores of other blocks.
        table: of the scores that it was fitted to.
        fitted: state that places other models.
        extent: of the catalog, as it was read for placing.
        seed: of the fit.
        seconds: that it took.
        settings: of the fit.
    """
    held_out = figures(fit, crossed)
    before = connection.scalars(
        text("""
        UPDATE store.prediction_versions SET state = 'retired', fitted = ''
         WHERE state = 'current' RETURNING version_id""")
    ).all()
    for name in _DATA:
        connection.execute(
            text(f"DELETE FROM store.{name} WHERE version_id = ANY (:before)"),  # noqa: S608
            {"before": list(before)},
        )
    number = connection.scalar(
        text("""
        INSERT INTO store.prediction_versions
               (state, created_at, placed_at, newest_model_id, dimension, model_count,
                benchmark_count, score_count, reliable, data_fingerprint, code_version, seed,
                seconds, settings, metrics, fitted)
        VALUES ('current', now(), :read_at, :newest, :dimension, :models, :benchmarks, :scores,
                :reliable, :fingerprint, :code, :seed, :seconds, :settings, :metrics, :fitted)
        RETURNING version_id"""),
        {
            "read_at": extent.read_at,
            "newest": extent.newest,
            "dimension": fit.dimensions,
            "models": len(table.models),
            "benchmarks": sum(each.key > 0 for each in table.benchmarks),
            "scores": len(table.values),
            "reliable": reliable(held_out),
            "fingerprint": table.fingerprint(),
            "code": __version__,
            "seed": seed,
            "seconds": seconds,
            "settings": orjson.dumps(settings).decode(),
            "metrics": orjson.dumps({"held_out": held_out}).decode(),
            "fitted": fitted,
        },
    )
    assert number is not None
    _store_intervals(connection, number, fit, crossed)
    _store_loadings(connection, number, fit, crossed, table)
    _store_scores(connection, number, fit, table)
    return int(number)


def _store_intervals(
    connection: Connection, number: int, fit: ScoreFit, crossed: CrossedBlocks
) -> None:
    calibration = fit.calibration
    levels = calibration.levels.tolist()
    counts = [*calibration.counts.tolist(), crossed.hidden]
    for group, ratios in enumerate([*calibration.quantiles, crossed.quantiles]):
        connection.execute(
            text("""
            INSERT INTO store.prediction_intervals
                   (version_id, evidence_group, held_out, levels, ratios, ratio_90)
            VALUES (:version, :group, :count, :levels, :ratios, :ratio)"""),
            {
                "version": number,
                "group": group,
                "count": counts[group],
                "levels": levels,
                "ratios": ratios.tolist(),
                "ratio": float(np.interp(0.9, calibration.levels, ratios)),
            },
        )


def _store_loadings(
    connection: Connection,
    number: int,
    fit: ScoreFit,
    crossed: CrossedBlocks,
    table: ScoreTable,
) -> None:
    links = fit.links
    cold, warm = fit.calibration.factors
    copy_in(
        connection,
        "store.benchmark_loadings",
        versioned(
            {
                "benchmark_id": np.array([each.key for each in table.benchmarks], np.int32),
                "measure_id": np.array([each.measure for each in table.benchmarks], np.int32),
                "score_count": fit.of_benchmarks.astype(np.int32),
                "intercept": fit.intercepts,
                "residual": fit.residuals,
                "cold_factor": cold,
                "warm_factor": warm,
                "crossed_factor": crossed.factors,
                "block": bits(crossed.blocks),
                "tied_blocks": _masks(crossed.tied)[crossed.blocks],
                "vector": fit.loadings.astype(np.float32),
                "spread": fit.benchmark_vectors().astype(np.float32),
            },
            number,
        ),
    )
    connection.execute(
        text("""
        UPDATE store.benchmark_loadings SET centre = u.centre, scale = u.scale
          FROM unnest(CAST(:keys AS integer[]), CAST(:centres AS float8[]),
                      CAST(:scales AS float8[])) AS u (key, centre, scale)
         WHERE version_id = :version AND benchmark_id = u.key"""),
        {
            "version": number,
            "keys": [
                each.key
                for each, own in zip(table.benchmarks, links.bounded, strict=True)
                if not own
            ],
            "centres": links.centres[~links.bounded].tolist(),
            "scales": links.spreads[~links.bounded].tolist(),
        },
    )


def _masks(tied: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the bits of the blocks that each block is tied to."""
    of_blocks = bits(np.arange(len(tied)))
    return np.array([np.bitwise_or.reduce(of_blocks[row]) for row in tied], np.int64)


def _store_scores(connection: Connection, number: int, fit: ScoreFit, table: ScoreTable) -> None:
    keys = np.array([each.key for each in table.benchmarks], np.int32)
    left_out = fit.left_out
    copy_in(
        connection,
        "store.fitted_scores",
        versioned(
            {
                "model_id": table.models[table.rows],
                "benchmark_id": keys[table.columns],
                "value": table.values,
                "variance": table.variances.astype(np.float32),
                "mean": left_out.mean,
                "deviation": fit.calibration.deviations(left_out),
                "evidence_group": left_out.groups.astype(np.int16),
            },
            number,
        ),
    )


def add_abilities(
    connection: Connection, number: int, parts: Iterable[Mapping[str, Column]]
) -> None:
    """Store abilities of models in a version, part by part."""
    for columns in parts:
        copy_in(connection, "store.abilities", versioned(columns, number))


def versioned(columns: Mapping[str, Column], number: int) -> Mapping[str, Column]:
    """Return columns with the version's number beside each row."""
    count = next(len(each) for each in columns.values() if isinstance(each, np.ndarray))
    version: NDArray[np.int32] = np.broadcast_to(np.int32(number), count)
    return {**columns, "version_id": version}
