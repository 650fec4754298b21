"""Domains of prompts by their texts: vectors and words; and experts for many prompts at once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry.catalog import names
from registry.catalog.prices.costs import estimate_tokens
from registry.db.connection import reading
from registry.db.errors import translated
from registry.prediction.domains.domain_sets import DEFAULT
from registry.prediction.domains.domain_storage import StoredClassifier, read_classifier
from registry.prediction.prompt_texts import check_prompts, encode_prompts
from registry.prediction.routing.route import RoutedPrompt
from registry.prediction.routing.route_options import RouteOptions

Matrix = NDArray[np.float32]


class PromptDomain(NamedTuple):
    """A domain that a prompt may be of.

    Attributes:
        domain: its name.
        probability: that the prompt is of it, calibrated.
        confident: whether it can be relied on: likely enough, not the fallback, and the prompt is
            like some of the training.
        energy: how much likelier the prompt is under any domain than among all items, in nats.
        by: what it was recognised by: the vector, as in SQL, or the vector and words.
    """

    domain: str
    probability: float
    confident: bool
    energy: float
    by: str


def classify_texts(
    engine: Engine, prompts: Sequence[str], domain_set: str = DEFAULT, *, k: int = 1
) -> list[list[PromptDomain]]:
    """Return the k likeliest domains of each prompt, by its vector and its words.

    No connection is open while the encoder is loaded.

    Args:
        engine: of a database at head.
        prompts: their texts.
        domain_set: name of the set.
        k: domains of each prompt, at most.

    Raises:
        UsageError: when there is no such set, or a prompt is empty or too long.
        RegistryError: when the set is not trained.
    """
    check_prompts(prompts)
    with reading(engine) as connection:
        stored = read_classifier(connection, domain_set)
    return classify(stored, encode_prompts(stored.encoder, prompts), prompts, k=k)


def classify(
    stored: StoredClassifier,
    vectors: Matrix,
    prompts: Sequence[str] | None = None,
    *,
    k: int = 1,
) -> list[list[PromptDomain]]:
    """Return the k likeliest domains of each prompt.

    Args:
        stored: the classifier.
        vectors: float32, P x T, by its encoder.
        prompts: their texts, read for words; None classifies by vectors alone, as SQL does.
        k: domains of each prompt, at most.

    Raises:
        ValueError: for vectors of another size, or that are no numbers.
    """
    found = stored.classifier.predict(vectors, prompts)
    order = np.argsort(-found.probabilities, axis=1, kind="stable")[:, : max(k, 0)]
    least = stored.classifier.least_energy
    by_words = prompts is not None and stored.classifier.words is not None
    by = "vector and words" if by_words else "vector"
    return [
        [
            PromptDomain(
                stored.domains[domain],
                float(found.probabilities[row, domain]),
                bool(
                    found.probabilities[row, domain] >= stored.least_probability
                    and found.energies[row] >= least
                    and domain != stored.fallback
                ),
                float(found.energies[row]),
                by,
            )
            for domain in domains.tolist()
        ]
        for row, domains in enumerate(order)
    ]


def route_domain(
    connection: Connection, prompt: NDArray[np.float32], k: int = 1, **options: Any
) -> list[dict[str, Any]]:
    """Return rows of `registry.route_domain`: the expert for a prompt's domain, then other models.

    Args:
        connection: to read from.
        prompt: float32, (T,), by the encoder of the set's classifier.
        k: most models to return.
        options: other parameters of the function by name, such as tier or max_price.

    Raises:
        ModelNotFoundError: for a name of the pool, with the nearest names there are.
        RegistryError: as the function refuses.
    """
    named = "".join(f", {name} => {_PLACEHOLDERS.get(name, f':{name}')}" for name in options)
    try:
        with connection.begin_nested():
            rows = connection.execute(
                text(f"SELECT * FROM registry.route_domain(cast(:prompt AS vector), :k{named})"),  # noqa: S608 - names of parameters
                {
                    "prompt": orjson.dumps(prompt, option=orjson.OPT_SERIALIZE_NUMPY).decode(),
                    "k": k,
                    **options,
                },
            )
            return [dict(row) for row in rows.mappings()]
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.NoDataFound):
            for name in filter(None, (*(options.get("pool") or ()), options.get("family"))):
                names.model_id(connection, name)
        raise translated(error, "route the prompt by its domain") from error


_PLACEHOLDERS = {"pool": "CAST(:pool AS text[])"}


def route_texts(
    engine: Engine, prompts: Sequence[str], k: int = 1, **options: Any
) -> list[list[dict[str, Any]]]:
    """Encode prompts and return rows of `registry.route_domain` for each.

    Domains are recognised by the vectors alone, as in SQL; `classify_texts` reads words too. Costs
    are of tokens that are estimated from the prompts' lengths, unless `input_tokens` is given.

    Args:
        engine: of a database at head.
        prompts: their texts.
        k: most models to return for each.
        options: other parameters of the function by name.

    Raises:
        UsageError: when there is no such set, or a prompt is empty or too long.
        RegistryError: as `route_domain`.
    """
    check_prompts(prompts)
    with reading(engine) as connection:
        stored = read_classifier(connection, options.get("domain_set") or DEFAULT)
    vectors = encode_prompts(stored.encoder, prompts)
    tokens = estimate_tokens(prompts).input.tolist()
    with reading(engine) as connection:
        return [
            route_domain(connection, vector, k, **{"input_tokens": length, **options})
            for vector, length in zip(vectors, tokens, strict=True)
        ]


def route_by_domain(
    engine: Engine, prompt: str, k: int, options: RouteOptions, **of_domain: str
) -> RoutedPrompt:
    """Encode a prompt and return rows of `registry.route_domain`, as `routing.route.route_by` does.

    Args:
        engine: of a database at head.
        prompt: its text.
        k: most models to return.
        options: what may be chosen, as for all routers.
        of_domain: tier and domain_set, where they are given.

    Raises:
        UsageError: for an empty or an overlong prompt, or a set that does not exist.
        RegistryError: as `route_domain`.
    """
    (rows,) = route_texts(engine, [prompt], k, **options.given(), **of_domain)
    return RoutedPrompt("domain", rows)
