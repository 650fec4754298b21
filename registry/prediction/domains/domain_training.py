"""Training of sets of domains: classifiers of prompts, and scores of models in each domain."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from time import perf_counter

import numpy as np
from sqlalchemy import Engine

from registry.db.connection import reading
from registry.db.jobs import Lock, job
from registry.embeddings import item_vectors
from registry.errors import UsageError
from registry.evaluations.outcomes import read_selection, select_keys
from registry.learning.arrays import Places
from registry.learning.domains.domain_calibration import ClassifierFigures
from registry.learning.domains.domain_classifier import (
    LEAST_ITEMS,
    LearnedClassifier,
    learn_classifier,
)
from registry.learning.domains.expert_router import LEAST_PROBABILITY
from registry.learning.domains.model_scores import (
    LEAST_OBSERVED,
    ModelScores,
    domain_scores,
    general_scores,
)
from registry.learning.encoders import DEFAULT, Encoder, open_encoder
from registry.learning.factorization.problem import Matrix
from registry.prediction.domains import domain_items, domain_storage
from registry.prediction.domains.domain_items import DomainItems
from registry.prediction.domains.domain_sets import DomainSet
from registry.prediction.domains.domain_storage import ClassifierFacts, StoredSet
from registry.version import __version__
from registry.workers import Progress, no_progress

ALL = -1
"""Number under which scores over all domains are stored."""


@dataclass(frozen=True, slots=True)
class DomainTraining:
    """Options of a training.

    Attributes:
        sets: names; empty: all that can be trained.
        encoder: of prompts.
        least_probability: of the likeliest domain, to rely on it.
        device: of the encoder; None is a GPU if there is one.
        seed: of folds and first centres.
    """

    sets: Sequence[str] = ()
    encoder: str = DEFAULT
    least_probability: float = LEAST_PROBABILITY
    device: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class DomainReport:
    """What the training of a set did.

    Attributes:
        name: of the set.
        items: that the classifier was trained on.
        domains: number of domains.
        scores: scores of models in domains.
        by_vector: figures on items left out; None where nothing was trained.
        by_text: likewise, of the form that reads words.
        note: why nothing was trained, or what was left out; None for nothing to say.
        seconds: duration.
    """

    name: str
    items: int = 0
    domains: int = 0
    scores: int = 0
    by_vector: ClassifierFigures | None = None
    by_text: ClassifierFigures | None = None
    note: str | None = None
    seconds: float = 0.0


def train_domains(
    engine: Engine,
    options: DomainTraining | None = None,
    *,
    on_progress: Progress = no_progress,
) -> list[DomainReport]:
    """Train sets of domains on the items that are stored; shipped sets are stored first.

    Each set is replaced whole, in one transaction.

    Args:
        engine: of a database at head.
        options: what to train.
        on_progress: receives the progress.

    Returns:
        A report for each set. Without names, a set whose items are not there is no error.

    Raises:
        LockHeldError: when a training is running.
        UsageError: when a named set does not exist, or its domains have too few items with texts.
        EncoderError: when the encoder cannot be opened.
    """
    options = options or DomainTraining()
    if not 0 <= options.least_probability <= 1:
        raise UsageError("The least probability of a domain is from 0 to 1.")
    with job(engine, "domains", lock=Lock.TRAINING, doing="train domains") as run:
        with engine.begin() as connection:
            domain_storage.ship(connection)
            wanted = options.sets or domain_storage.set_names(connection)
            sets = [domain_storage.read_set(connection, name) for name in dict.fromkeys(wanted)]
        trainer = _Trainer(engine, options, on_progress)
        reports = [trainer.train(each) for each in sets]
        run.summary = {each.name: each.items for each in reports}
        return reports


class _Trainer:
    """A training under way: the encoder is opened once, when there is a text to encode."""

    def __init__(self, engine: Engine, options: DomainTraining, on_progress: Progress) -> None:
        self._engine = engine
        self._options = options
        self._on_progress = on_progress
        self._encoder: Encoder | None = None

    def train(self, stored: StoredSet) -> DomainReport:
        """Train a set, or say why it cannot be."""
        began = perf_counter()
        name, content = stored.content.name, stored.content
        self._on_progress(f"reading items of {name}", 0, 0)
        with reading(self._engine) as connection:
            items = domain_items.read_items(connection, content)
        places = domain_items.learnable_items(items, seed=self._options.seed)
        present, few = _present(content, items.domains[places])
        if len(present) < 2:  # noqa: PLR2004 - nothing to tell apart
            missing = f"{'; '.join(few[:3])}; two domains of {LEAST_ITEMS} or more are needed"
            if self._options.sets:
                raise UsageError(f"The set of domains {name!r} cannot be trained: {missing}.")
            return DomainReport(name, domains=len(content.domains), note=f"not trained: {missing}")
        places = places[np.isin(items.domains[places], present)]
        vectors = self._vectors(items, places)
        known = np.flatnonzero(~np.isnan(vectors).any(axis=1))
        places, vectors = places[known], vectors[known]
        self._on_progress(f"learning domains of {name}", 0, 0)
        learned = learn_classifier(
            vectors,
            np.searchsorted(present, items.domains[places]),
            len(present),
            [items.texts[each] or "" for each in places.tolist()],
            seed=self._options.seed,
        )
        models, scores = self._scores(content, items)
        with self._engine.begin() as connection:
            # The set may have been replaced since it was read: its key is another one then.
            now = domain_storage.read_set(connection, name)
            if now != stored:
                raise UsageError(f"The set of domains {name!r} was changed meanwhile; train again.")
            facts = ClassifierFacts(
                self._encoder.name if self._encoder else self._options.encoder,
                len(places),
                self._options.least_probability,
                _metrics([content.domains[each] for each in present], items, places, learned),
                {"seed": self._options.seed, "version": __version__, "least_items": LEAST_OBSERVED},
                datetime.now(UTC),
            )
            domain_storage.save_classifier(
                connection, stored.key, learned.classifier, facts, domains=present
            )
            count = domain_storage.save_scores(connection, stored.key, models, scores)
        return DomainReport(
            name,
            len(places),
            len(content.domains),
            count,
            learned.by_vector,
            learned.by_text,
            _note(content, items, scores, few),
            round(perf_counter() - began, 3),
        )

    def _vectors(self, items: DomainItems, places: Places) -> Matrix:
        if self._encoder is None:
            self._on_progress(f"loading encoder {self._options.encoder}", 0, 0)
            self._encoder = open_encoder(self._options.encoder, device=self._options.device)
        benchmarks = sorted({items.columns[each].benchmark for each in places.tolist()})
        item_vectors.refresh(
            self._engine, self._encoder, benchmarks=benchmarks, on_progress=self._on_progress
        )
        with reading(self._engine) as connection:
            return domain_items.read_vectors(connection, self._encoder.name, items, places)

    def _scores(
        self, content: DomainSet, items: DomainItems
    ) -> tuple[Sequence[str], Mapping[int, ModelScores]]:
        """Return the models with outcomes, and their scores by domain, ALL of them included."""
        self._on_progress(f"scoring models in domains of {content.name}", 0, 0)
        domains = dict(zip(items.columns, items.domains.tolist(), strict=True))
        with reading(self._engine) as connection:
            selection = select_keys(connection, items.benchmarks)
            if not selection.columns:
                return [], {}
            matrix = read_selection(connection, selection)
        places = [place for place, each in enumerate(matrix.columns) if each in domains]
        values = matrix.values[:, places]
        of_items = np.array([domains[matrix.columns[place]] for place in places], np.intp)
        found = {
            domain: domain_scores(values[:, of_items == domain])
            for domain in range(len(content.domains))
        }
        # All items of the benchmarks count, those of no domain too: their prompts come here.
        found[ALL] = general_scores(matrix.values, list(found.values()))
        return matrix.models, found


def _present(content: DomainSet, domains: Places) -> tuple[Places, Sequence[str]]:
    """Return the domains that have enough items, and what the others have, in words."""
    numbers = np.bincount(domains, minlength=len(content.domains))
    few = [
        f"{name} has {number} items with a text"
        for name, number in zip(content.domains, numbers.tolist(), strict=True)
        if number < LEAST_ITEMS
    ]
    return np.flatnonzero(numbers >= LEAST_ITEMS), few


def _metrics(
    names: Sequence[str], items: DomainItems, places: Places, learned: LearnedClassifier
) -> Mapping[str, object]:
    domains = np.unique(items.domains[places], return_inverse=True)[1]
    right = learned.left_out.argmax(axis=1) == domains
    return {
        "by_vector": asdict(learned.by_vector),
        "by_text": None if learned.by_text is None else asdict(learned.by_text),
        "by_domain": {
            name: {
                "items": int((domains == number).sum()),
                "accuracy": float(right[domains == number].mean()),
            }
            for number, name in enumerate(names)
        },
        "left_out": {
            "unmapped": items.unmapped,
            "without_text_or_twice": len(items.columns) - len(places),
        },
    }


def _note(
    content: DomainSet,
    items: DomainItems,
    scores: Mapping[int, ModelScores],
    few: Sequence[str],
) -> str | None:
    """Return a sentence on what is missing: subjects that no line names, domains without scores."""
    without = [
        name
        for number, name in enumerate(content.domains)
        if number not in scores or np.isnan(scores[number].scores).all()
    ]
    parts = []
    if few:
        parts.append(f"{', '.join(few)}: too few to recognise prompts of it")
    if items.unmapped:
        parts.append(f"{items.unmapped:,} items are of subjects that the set does not name")
    if without:
        parts.append(
            f"no model was observed on {LEAST_OBSERVED} items of {', '.join(without)}, which have "
            "no expert"
        )
    return "; ".join(parts) or None
