"""Predictions of outcomes on prompts that the registry has never seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from registry.db.connection import reading
from registry.embeddings.read import read_embeddings
from registry.embeddings.version_uncertainty import VersionUncertainty, read_uncertainty
from registry.embeddings.versions import EmbeddingVersion, read_version
from registry.errors import RegistryError, UnreadableFileError, UsageError, shortened
from registry.evaluations.formats import json_files
from registry.learning.encoders import open_encoder
from registry.learning.intervals import LEVEL, ends, expected
from registry.prediction.logits import ItemVectors, logits
from registry.prediction.outcomes import calibrated, model_places, model_vectors

MOST_PROMPTS = 100_000
"""Prompts of a file."""


class Prompt(NamedTuple):
    """A prompt with an identifier of the caller's, and its line where it is of a file."""

    id: str
    text: str
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PromptPredictions:
    """Predicted outcomes of M models on P prompts, by the vectors of one version.

    A prompt is an item whose vector is predicted from its text, as `registry.predict_outcome` does
    for stored items without outcomes. What the text leaves open is most of the interval.

    Attributes:
        version: number of the version.
        models: names of the models, in the order asked for.
        prompts: identifiers, in the order given.
        probability: float64, M x P: expected outcome of an item like those of the version.
        lower: float64, M x P: lower end of the interval of the probability, of 90% unless asked
            otherwise; NaN where the version keeps no variances.
        upper: float64, M x P: its upper end.
        kind: (M,), of `enums.VectorKind`.
        cut: bool, P: whether the prompt is longer than the encoder reads, so that a part counts.
        calibrated: whether probabilities and intervals hold on items that were left out; False
            where they do not, or were not measured.
    """

    version: int
    models: Sequence[str]
    prompts: Sequence[str]
    probability: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    kind: NDArray[np.str_]
    cut: NDArray[np.bool_]
    calibrated: bool


def predict_prompts(
    engine: Engine,
    models: str | Sequence[str],
    prompts: Sequence[Prompt],
    *,
    version: int | None = None,
    level: float = LEVEL,
) -> PromptPredictions:
    """Predict the outcomes of models on prompts.

    No connection is open while the encoder is loaded, which takes seconds.

    Args:
        engine: of a database at head.
        models: any names.
        prompts: at least one, none of them empty.
        version: number of a version; by default the current one.
        level: share of probabilities that intervals are to hold.

    Raises:
        ModelNotFoundError: for an unknown model, with the nearest names there are.
        UsageError: for no prompts, an empty one, or an identifier that two have.
        RegistryError: when there is no such version, it cannot read texts, or a model has no vector
            in it.
    """
    _check(prompts)
    with reading(engine, snapshot=True) as connection:
        chosen, kept = _readable(connection, version)
        embeddings = read_embeddings(connection, chosen.version)
        rows = model_places(connection, models, embeddings)
    assert chosen.encoder is not None
    assert kept.texts is not None
    encoder = open_encoder(chosen.encoder)
    asked = [each.text for each in prompts]
    items = ItemVectors(kept.texts.items(encoder.encode(asked)), np.ones(len(asked), np.bool_))
    mean, deviation = logits(model_vectors(embeddings, rows), items, kept)
    lower, upper = ends(mean, np.square(deviation), level)
    measured = calibrated(chosen, embeddings, items.of_text)
    return PromptPredictions(
        version=chosen.version,
        models=[embeddings.models[row] for row in rows],
        prompts=[each.id for each in prompts],
        probability=expected(mean, np.nan_to_num(np.square(deviation))),
        lower=lower,
        upper=upper,
        kind=embeddings.kind[rows],
        cut=encoder.cuts(asked),
        calibrated=bool(measured.all()),
    )


def read_prompts(path: Path) -> list[Prompt]:
    """Read prompts from JSON lines with the fields id and prompt, plain or .gz.

    Raises:
        UnreadableFileError: with line and field, for a file that is not so, an empty prompt, and an
            identifier that two lines have.
    """
    found: dict[str, Prompt] = {}
    for line, row in json_files.rows(path):
        for field in ("id", "prompt"):
            if row.get(field) is None:
                raise UnreadableFileError(path, f"the {field} is missing.", line=line, field=field)
        identifier, prompt = row["id"], row["prompt"]
        if isinstance(identifier, bool) or not isinstance(identifier, str | int):
            raise UnreadableFileError(
                path, "the id is to be a text or a whole number.", line=line, field="id"
            )
        if not isinstance(prompt, str) or not prompt.strip():
            raise UnreadableFileError(
                path, "the prompt is to be a text that is not empty.", line=line, field="prompt"
            )
        key = str(identifier)
        if key in found:
            raise UnreadableFileError(
                path, f"there is an id {shortened(key)} before.", line=line, field="id"
            )
        if len(found) == MOST_PROMPTS:
            raise UnreadableFileError(
                path, f"there are more than {MOST_PROMPTS:,} prompts; split the file.", line=line
            )
        found[key] = Prompt(key, prompt, line)
    if not found:
        raise UnreadableFileError(path, "there is no prompt in it.")
    return list(found.values())


def _check(prompts: Sequence[Prompt]) -> None:
    if not prompts:
        raise UsageError("There is no prompt to predict outcomes on.")
    seen = set()
    for each in prompts:
        if not each.text.strip():
            raise UsageError(f"Prompt {shortened(each.id)} is empty.")
        if each.id in seen:
            raise UsageError(f"There are two prompts {shortened(each.id)}.")
        seen.add(each.id)


def _readable(
    connection: Connection, version: int | None
) -> tuple[EmbeddingVersion, VersionUncertainty]:
    """Return a version that predicts items from texts."""
    chosen = read_version(connection, version)
    kept = read_uncertainty(connection, chosen.version)
    if chosen.encoder is None or kept.texts is None:
        raise RegistryError(
            f"Version {chosen.version} of the embeddings ({chosen.method}) cannot predict outcomes "
            "on prompts: it was trained without texts, or by a version of the registry before it "
            "could. `registry train` learns from texts where the benchmarks' items have them."
        )
    return chosen, kept
