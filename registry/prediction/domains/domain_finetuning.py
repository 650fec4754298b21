"""Fine-tuning of an encoder on the texts of a set's items: MoDEM's own router, as an option."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.errors import UsageError
from registry.learning.domains.encoder_classifier import (
    HELD_OUT,
    FineTuning,
    TunedClassifier,
    fine_tune,
    open_classifier,
)
from registry.learning.domains.expert_router import LEAST_PROBABILITY
from registry.prediction.domains import domain_items, domain_storage
from registry.prediction.domains.domain_prompts import PromptDomain
from registry.prediction.prompt_texts import check_prompts
from registry.workers import Progress, no_progress


def fine_tune_set(
    engine: Engine,
    name: str,
    folder: Path,
    settings: FineTuning | None = None,
    *,
    on_progress: Progress = no_progress,
) -> TunedClassifier:
    """Fine-tune an encoder to classify texts by the domains of a set, and save it in a folder.

    Nothing is written to the database, and no connection is open while it trains.

    Args:
        engine: of a database at head.
        name: of the set.
        folder: a new one.
        settings: of the training.
        on_progress: receives the progress.

    Raises:
        UsageError: when there is no such set, too few items have texts, the folder is not empty, or
            the device does not exist.
        EncoderError: when the base cannot be loaded.
    """
    settings = settings or FineTuning()
    with translated_errors("read the items of domains"), reading(engine) as connection:
        content = domain_storage.read_set(connection, name).content
        items = domain_items.read_items(connection, content)
    places = domain_items.learnable_items(items, seed=settings.seed)
    numbers = np.bincount(items.domains[places], minlength=len(content.domains))
    if numbers.min() < 2 or len(places) < 2 * HELD_OUT:  # noqa: PLR2004 - one may be left out
        few = content.domains[int(numbers.argmin())]
        raise UsageError(
            f"The set of domains {name!r} cannot be learned: {few} has {int(numbers.min())} items "
            f"with a text, of {len(places)} in all; {2 * HELD_OUT} are needed, and of each 2."
        )
    texts = [items.texts[each] or "" for each in places.tolist()]
    domains = items.domains[places]
    return fine_tune(
        texts, domains, content.domains, settings, folder,
        fallback=content.fallback, on_progress=on_progress,
    )  # fmt: skip


def classify_by_encoder(
    folder: Path, prompts: Sequence[str], *, k: int = 1, device: str | None = None
) -> list[list[PromptDomain]]:
    """Return the k likeliest domains of each prompt, by a fine-tuned classifier.

    Args:
        folder: of the classifier.
        prompts: their texts.
        k: domains of each prompt, at most.
        device: of torch; None is a GPU if there is one.

    Raises:
        UsageError: when the folder has no classifier, or a prompt is empty.
    """
    check_prompts(prompts)
    classifier = open_classifier(folder, device=device)
    found = classifier.predict(prompts)
    order = np.argsort(-found.probabilities, axis=1, kind="stable")[:, : max(k, 0)]
    names = classifier.domains
    return [
        [
            PromptDomain(
                names[domain],
                float(found.probabilities[row, domain]),
                bool(
                    found.probabilities[row, domain] >= LEAST_PROBABILITY
                    and found.energies[row] >= classifier.least_energy
                    and names[domain] != classifier.fallback
                ),
                float(found.energies[row]),
                "text",
            )
            for domain in domains.tolist()
        ]
        for row, domains in enumerate(order)
    ]
