"""Robustness of routers: whether their picks stay when held-out prompts are reworded."""

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import Connection, text

from registry.evaluations.outcomes import Column
from registry.evaluations.records import text_of
from registry.learning.arrays import Places, Reals
from registry.learning.encoders import Encoder
from registry.learning.routing.picks import pick
from registry.learning.routing.routing_problem import RoutingProblem
from registry.learning.routing_evaluation.contest import RoutingContender, run_contest
from registry.learning.routing_evaluation.prompt_means import PromptMeans
from registry.learning.routing_evaluation.rewordings import rewordings
from registry.learning.routing_evaluation.routing_intervals import Estimate


def read_texts(connection: Connection, columns: Sequence[Column]) -> list[str]:
    """Return the texts of items, as they are encoded; empty for one that is not there."""
    rows = connection.execute(
        text("""
        SELECT w.place, i.prompt, i.choices
          FROM unnest(CAST(:names AS text[]), CAST(:versions AS text[]), CAST(:items AS text[]))
               WITH ORDINALITY AS w (name, version, item, place)
          JOIN store.benchmarks b ON b.name = w.name AND b.version = w.version
          JOIN store.items i ON i.benchmark_id = b.benchmark_id AND i.item = w.item"""),
        {
            "names": [each.benchmark for each in columns],
            "versions": [each.version for each in columns],
            "items": [each.item for each in columns],
        },
    )
    texts = [""] * len(columns)
    for row in rows:
        texts[row.place - 1] = text_of(row.prompt or "", row.choices)
    return texts


def measure_robustness(
    problem: RoutingProblem,
    held: Places,
    texts: Sequence[str],
    encoder: Encoder,
    contenders: Sequence[RoutingContender],
    *,
    seed: int = 0,
) -> Mapping[str, Estimate]:
    """Return RouterArena's robustness: the share of reworded prompts whose pick is the same.

    Each router learns from the items that are not held out, once.

    Args:
        problem: outcomes of all items.
        held: items that are reworded, none of which may be learned from.
        texts: of these.
        encoder: of the prompts.
        contenders: routers.
        seed: of the fits, the rewordings and the resampling.

    Returns:
        By router; the interval is over prompts.
    """
    reworded = rewordings(texts, seed)
    vectors = [encoder.encode(each) for each in reworded.values()]
    count = len(held)
    repeated = np.concatenate([np.arange(problem.outcomes.shape[1]), *[held] * len(vectors)])
    copies = problem.only(repeated)
    others = RoutingProblem(
        copies.outcomes,
        np.concatenate([problem.vectors, *vectors]),
        copies.groups,
        copies.costs,
    )
    new = np.arange(problem.outcomes.shape[1], len(repeated))
    result = run_contest(others, [np.concatenate([held, new])], contenders, seed=seed)
    items = np.tile(np.arange(count), len(vectors))
    found = {}
    for name, probabilities in result.probabilities.items():
        picks = pick(probabilities)
        same: Reals = (picks[count:] == np.tile(picks[:count], len(vectors))).astype(np.float64)
        table = PromptMeans(items, {"same": same})
        found[name] = table.estimates({"same": lambda means: means["same"]}, seed=seed)["same"]
    return found
