"""Classifier of domains by a fine-tuned encoder of texts, as in MoDEM (section 3.2).

DeBERTa-v3-large there, fine-tuned for one epoch with batches of 32 and a learning rate of 1e-5. It
reads texts where the other classifier reads vectors, needs torch to serve, and SQL cannot use it:
it is for whoever has a GPU and wants the paper's router. Where the paper is silent, the choices are
AdamW with weight decay 0.01, a linearly falling learning rate, and gradients clipped to norm 1; one
text in ten is left out, to calibrate the probabilities (temperature scaling, Guo et al. 2017).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import EncoderError, UsageError
from registry.files import new_folder
from registry.learning.arrays import Places
from registry.learning.domains.domain_calibration import (
    ClassifierFigures,
    classifier_figures,
    evidence_weights,
    softmax,
)
from registry.learning.domains.domain_classifier import UNLIKE, DomainPredictions
from registry.learning.factorization.devices import choose
from registry.learning.factorization.problem import Matrix
from registry.workers import Progress, no_progress

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HELD_OUT = 10
"""One text in this many is left out of the training."""

_AT_ONCE = 64
"""Texts of a batch that is classified."""

_NORM = 1.0
"""Of gradients, at most."""


@dataclass(frozen=True, slots=True)
class FineTuning:
    """Settings of a fine-tuning; the defaults are MoDEM's.

    Attributes:
        base: name on the Hub, or folder, of the encoder to begin with.
        epochs: passes over the texts.
        batch: texts of a step.
        learning_rate: of the first step; it falls linearly to 0.
        weight_decay: of AdamW.
        longest: tokens that are read of a text.
        device: of torch; None is a GPU if there is one.
        seed: of the order of texts, and of the new layer.
    """

    base: str = "microsoft/deberta-v3-large"
    epochs: int = 1
    batch: int = 32
    learning_rate: float = 1e-5
    weight_decay: float = 0.01
    longest: int = 512
    device: str | None = None
    seed: int = 0


class EncoderClassifier:
    """A fine-tuned encoder that classifies texts by domain, as `DomainClassifier` does vectors."""

    def __init__(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", device: str
    ) -> None:
        """Wrap a model whose configuration has the domains and the calibration."""
        self._model, self._tokenizer, self._device = model.to(device).eval(), tokenizer, device

    @property
    def domains(self) -> Sequence[str]:
        """Names of the domains, by number."""
        labels = self._model.config.id2label
        return [labels[number] for number in range(len(labels))]

    @property
    def least_energy(self) -> float:
        """Energy below which a prompt is like none of the training."""
        return float(self._model.config.least_energy)

    @property
    def fallback(self) -> str | None:
        """Name of the domain of prompts that are of no other; None for none."""
        found: str | None = getattr(self._model.config, "fallback", None)
        return found

    def predict(self, texts: Sequence[str]) -> DomainPredictions:
        """Classify texts; of a long one the beginning is read."""
        logits = _logits(self._model, self._tokenizer, texts, self._device)
        highest = logits.max(axis=1)
        energies = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
        return DomainPredictions(softmax(self._model.config.sharpness * logits), energies)


@dataclass(frozen=True, slots=True, eq=False)
class TunedClassifier:
    """A fine-tuned classifier, and its figures on the texts that were left out."""

    classifier: EncoderClassifier
    figures: ClassifierFigures


def fine_tune(
    texts: Sequence[str],
    domains: Places,
    names: Sequence[str],
    settings: FineTuning,
    folder: Path,
    *,
    fallback: str | None = None,
    on_progress: Progress = no_progress,
) -> TunedClassifier:
    """Fine-tune an encoder to classify texts, and save it.

    Args:
        texts: of N items.
        domains: int, N, from 0.
        names: of the D domains.
        settings: of the training.
        folder: where it is saved, a new one.
        fallback: name of the domain of prompts that are of no other; None for none.
        on_progress: receives the progress, in steps.

    Raises:
        EncoderError: when the base cannot be loaded.
        UsageError: when the folder is not empty, or the device does not exist.
        ValueError: when there are not two texts for each that is left out.
    """
    if len(texts) < 2 * HELD_OUT:
        raise ValueError(f"there are to be {2 * HELD_OUT} texts or more")
    device = choose(settings.device)
    with new_folder(folder) as saved:
        model, tokenizer = _loaded(settings, names)
        order = np.random.default_rng(settings.seed).permutation(len(texts))
        held, known = order[: len(texts) // HELD_OUT], order[len(texts) // HELD_OUT :]
        model.to(device)
        _train(
            model,
            tokenizer,
            ([texts[each] for each in known.tolist()], domains[known]),
            settings,
            on_progress,
        )
        logits = _logits(model, tokenizer, [texts[each] for each in held.tolist()], device)
        sharpness = float(evidence_weights(logits[None].astype(np.float64), domains[held])[0])
        highest = logits.max(axis=1)
        energies = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
        model.config.sharpness = sharpness
        model.config.fallback = fallback
        model.config.least_energy = float(np.quantile(energies, UNLIKE))
        model.save_pretrained(saved)
        tokenizer.save_pretrained(saved)
    return TunedClassifier(
        EncoderClassifier(model, tokenizer, device),
        classifier_figures(softmax(sharpness * logits), domains[held]),
    )


def open_classifier(folder: Path, *, device: str | None = None) -> EncoderClassifier:
    """Open a saved classifier.

    Raises:
        UsageError: when the folder has none, or the device does not exist.
    """
    from transformers import (  # noqa: PLC0415 - takes seconds
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    chosen = choose(device)
    if not (folder / "config.json").is_file():
        raise UsageError(f"{folder} has no fine-tuned classifier of domains.")
    try:
        model = AutoModelForSequenceClassification.from_pretrained(str(folder))
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"The classifier in {folder} cannot be read: {error}.") from error
    if not hasattr(model.config, "sharpness"):
        raise UsageError(f"The model in {folder} is no fine-tuned classifier of domains.")
    return EncoderClassifier(model, tokenizer, chosen)


def _loaded(
    settings: FineTuning, names: Sequence[str]
) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase"]:
    """Return the encoder with a new layer that classifies, and its tokenizer."""
    import torch  # noqa: PLC0415 - takes seconds
    from transformers import (  # noqa: PLC0415
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    torch.manual_seed(settings.seed)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            settings.base,
            num_labels=len(names),
            id2label=dict(enumerate(names)),
            label2id={name: number for number, name in enumerate(names)},
            # A base that classifies something else gets a new last layer.
            ignore_mismatched_sizes=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(settings.base)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(f"The encoder {settings.base} cannot be loaded: {error}.") from error
    positions = getattr(model.config, "max_position_embeddings", settings.longest)
    tokenizer.model_max_length = min(settings.longest, positions)
    return model, tokenizer


def _train(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    data: tuple[Sequence[str], Places],
    settings: FineTuning,
    on_progress: Progress,
) -> None:
    import torch  # noqa: PLC0415 - takes seconds

    texts, domains = data
    device = model.device
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = settings.epochs * -(-len(texts) // settings.batch)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(1 - step / steps, 0.0))
    rng = np.random.default_rng(settings.seed)
    model.train()
    done = 0
    for _ in range(settings.epochs):
        order = rng.permutation(len(texts))
        for start in range(0, len(order), settings.batch):
            batch = order[start : start + settings.batch]
            read = _tokens(tokenizer, [texts[each] for each in batch.tolist()], device)
            truth = torch.as_tensor(domains[batch], device=device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                logits = model(**read).logits
            loss = torch.nn.functional.cross_entropy(logits.float(), truth)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), _NORM)
            optimizer.step()
            falling.step()
            done += 1
            on_progress("fine-tuning", done, steps)
    model.eval()


def _logits(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[str],
    device: str,
) -> Matrix:
    """Return float32, N x D: logits of texts."""
    import torch  # noqa: PLC0415 - takes seconds

    parts = [np.zeros((0, int(model.config.num_labels)), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(texts), _AT_ONCE):
            read = _tokens(tokenizer, texts[start : start + _AT_ONCE], torch.device(device))
            parts.append(model(**read).logits.float().cpu().numpy())
    return np.concatenate(parts)


def _tokens(
    tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str], device: "torch.device"
) -> dict[str, Any]:
    # Lone surrogates are no text that a tokenizer takes.
    readable = [each.encode("utf-8", "replace").decode() for each in texts]
    return dict(tokenizer(readable, padding=True, truncation=True, return_tensors="pt").to(device))
