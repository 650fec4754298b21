"""Router in Python: vectors of the current version in memory, and prompts routed in numpy."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from registry.catalog import names as model_names
from registry.catalog.prices.costs import INPUT_PER_OUTPUT, TYPICAL_INPUT
from registry.db import connection as database
from registry.db.errors import translated
from registry.embeddings.read import read_serving
from registry.embeddings.routers.stored_router import StoredRouter, read_router
from registry.embeddings.versions import EmbeddingVersion, read_version, require_routing
from registry.errors import RegistryError, UsageError
from registry.prediction.prompt_texts import encode_prompts
from registry.prediction.routing.scoring import logits

_log = logging.getLogger(__name__)

FITTED = ("best", "knn", "factorization")
"""Routers that look at the prompt."""

ROUTERS = (*FITTED, "best-single", "cheapest")
"""Routers in Python; the last two choose one model for all prompts."""

FILTERS = ("pool", "max_price", "license", "family", "max_parameters", "provider")
"""Options that leave models out, as of the functions in SQL."""

CHECK_SECONDS = 5.0
"""Seconds after which the next call asks whether another version is current."""

NO_MODEL = "no model reaches the minimum probability of {:g}: {}"

_EVERY = 2**31 - 1

_TOLERANCE = 0.01  # of the length of a vector, as in SQL

Floats = NDArray[np.float32]


class NoModelLeftError(RegistryError):
    """No model passes the filters of a router."""


@dataclass(frozen=True, slots=True, eq=False)
class RoutedPrompts:
    """Models chosen for P prompts; unpacks as names, probabilities, costs.

    Attributes:
        names: P, of the chosen models.
        probabilities: float32, P: expected outcome of each.
        costs: float64, P: dollars for the prompt and an answer; NaN without a known price.
        fallbacks: bool, P: whether no model reached the minimum probability.
        fallback: what was chosen then, and why; None where none was asked for.
    """

    names: Sequence[str]
    probabilities: Floats
    costs: NDArray[np.float64]
    fallbacks: NDArray[np.bool_]
    fallback: str | None = None

    def __iter__(self) -> Iterator[Any]:
        """Yield names, probabilities and costs."""
        return iter((self.names, self.probabilities, self.costs))


class Router:
    """Router of the current version, loaded once; it notices a new version.

    A prompt takes some microseconds by factorization. Routers best and knn compare it with every
    item: 0.2 ms at 10,000 items, and less a prompt where many are given together.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        router: str = "best",
        check_seconds: float = CHECK_SECONDS,
        **filters: Any,
    ) -> None:
        """Load the vectors of the current version.

        Args:
            url: of a Postgres; without it REGISTRY_DATABASE_URL, DATABASE_URL or the embedded
                server.
            router: one of `ROUTERS`.
            check_seconds: after so many seconds, the next call asks whether another version is
                current, and reads prices again.
            filters: pool (names), max_price, license, family, max_parameters, provider: as of
                `registry.route_best` in SQL.

        Raises:
            UsageError: for an unknown router or filter.
            RegistryError: when no version is current, it has no such router, a name is unknown, or
                no model passes the filters.
        """
        if router not in ROUTERS:
            raise UsageError(f"There is no router {router!r} in Python; there are "
                             f"{', '.join(ROUTERS)}.")  # fmt: skip
        unknown = sorted(set(filters) - set(FILTERS))
        if unknown:
            raise UsageError(f"There is no option {unknown[0]!r}; there are {', '.join(FILTERS)}.")
        self._opened = ExitStack()
        self._engine = self._opened.enter_context(database.engine(database.setting(url)))
        self._router, self._filters, self._seconds = router, filters, check_seconds
        try:
            with database.reading(self._engine, snapshot=True) as connection:
                self._loaded = _load(connection, router, filters)
        except BaseException:
            self.close()
            raise
        self._checked = time.monotonic()

    def close(self) -> None:
        """Close the connections to the database."""
        self._opened.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @property
    def version(self) -> int:
        """Number of the version in use."""
        return self._loaded.version

    @property
    def encoder(self) -> str:
        """Name of the encoder that makes the vectors of prompts."""
        return self._loaded.encoder

    @property
    def models(self) -> Sequence[str]:
        """Names of the models that may be chosen."""
        return self._loaded.models

    def encode(self, prompts: Sequence[str]) -> Floats:
        """Return the vectors of prompts, float32, P x t; the first call loads the encoder.

        A warning is logged where an encoder reads a part of a prompt alone.

        Raises:
            UsageError: for a prompt that is empty, or of more than a million characters.
        """
        return encode_prompts(self.encoder, prompts)

    def route(
        self,
        prompt_vectors: Floats,
        *,
        cost_weight: float = 0.0,
        minimum_probability: float | None = None,
        input_tokens: float | NDArray[np.float64] = TYPICAL_INPUT,
        output_tokens: float | NDArray[np.float64] | None = None,
    ) -> RoutedPrompts:
        """Choose a model for each prompt.

        Args:
            prompt_vectors: float32, P x t, or t of one prompt, by `encode`: of length 1, within 1%.
            cost_weight: what is subtracted from a probability for each dollar of a model's price
                for a million tokens; above 0, models without a known price are not chosen.
            minimum_probability: where no model reaches it, the best single model is chosen, or the
                likeliest by factorization; `fallbacks` says where.
            input_tokens: of each prompt, for costs: a number, or P of them; finite, at least 0.
                `registry.catalog.prices.costs.estimate_tokens` estimates them from texts.
            output_tokens: of each answer, likewise; None is a third of the prompt's.

        Raises:
            UsageError: for vectors of other dimensions, not finite or not of length 1, and options
                out of range.
            RegistryError: when no model has a known price, but costs count, or when prices or
                models changed and none passes the filters any more.
        """
        self._refresh()
        loaded = self._loaded
        vectors = _checked(prompt_vectors, loaded)
        if not 0 <= cost_weight < np.inf or not 0 <= (minimum_probability or 0) <= 1:
            raise UsageError("cost_weight is at least 0, minimum_probability from 0 to 1.")
        tokens_in = _tokens("input_tokens", input_tokens, len(vectors))
        tokens_out = tokens_in / INPUT_PER_OUTPUT
        if output_tokens is not None:
            tokens_out = _tokens("output_tokens", output_tokens, len(vectors))
        found = loaded.probabilities(vectors)
        scores = loaded.scores(found, cost_weight)
        if np.isnan(scores).all(axis=1).any() and len(found):
            raise RegistryError("No model has a known price, so costs cannot be weighed.")
        scores = np.where(np.isnan(scores), -np.inf, scores)
        low: NDArray[np.bool_] = np.zeros(len(found), np.bool_)
        if minimum_probability is not None:
            reaches = (found >= minimum_probability) & np.isfinite(scores)
            low = np.asarray(~reaches.any(axis=1))
            scores = np.where(reaches | low[:, None], scores, -np.inf)
        picks = scores.argmax(axis=1) if len(found) else np.zeros(0, np.intp)
        if low.any() and loaded.levels is not None:
            levels = np.where(np.isfinite(scores[low]), loaded.levels, -np.inf)
            picks[low] = levels.argmax(axis=1)
        costs = tokens_in * loaded.inputs[picks] + tokens_out * loaded.outputs[picks]
        last = "the likeliest" if loaded.levels is None else "best single model"
        return RoutedPrompts(
            [loaded.models[pick] for pick in picks.tolist()],
            found[np.arange(len(found)), picks],
            np.asarray(costs / 1e6, np.float64),
            low,
            None if minimum_probability is None else NO_MODEL.format(minimum_probability, last),
        )

    def _refresh(self) -> None:
        """Load the current version where it is another one; without a database, go on."""
        if time.monotonic() - self._checked < self._seconds:
            return
        try:
            with database.reading(self._engine, snapshot=True) as connection:
                self._loaded = _reloaded(connection, self._router, self._filters, self._loaded)
        except NoModelLeftError:
            # What was loaded has a model that the filters now leave out: each call asks again.
            raise
        except (SQLAlchemyError, RegistryError) as error:
            _log.warning("Routing on with version %s: %s", self.version, error)
        self._checked = time.monotonic()


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """Vectors of a version, and the models of it that may be chosen.

    Attributes:
        keys: of all M models of the version.
        models: names of those that may be chosen, m, sorted by byte, as they are now.
        rows: of these among the M.
        levels: float32, m: mean outcomes; None of factorization.
        prices, inputs, outputs: float64, m, dollars a million tokens; NaN where not known.
    """

    version: int
    encoder: str
    dimension: int
    keys: Sequence[int]
    serving: Floats | None
    stored: StoredRouter | None
    router: str
    models: Sequence[str]
    rows: NDArray[np.intp]
    prices: NDArray[np.float64]
    inputs: NDArray[np.float64]
    outputs: NDArray[np.float64]

    @property
    def levels(self) -> Floats | None:
        return None if self.stored is None else self.stored.blend.levels[self.rows]

    def scores(self, probabilities: Floats, cost_weight: float) -> NDArray[np.floating]:
        """Return what models are chosen by, P x m: the highest; NaN where costs are not known."""
        scores = probabilities - cost_weight * self.prices if cost_weight else probabilities
        if self.router != "cheapest":
            return scores
        # One order for all prompts, as probabilities are levels: by price, then score, then name.
        first = scores[0] if len(scores) else np.zeros(len(self.models))
        order = np.lexsort((-first, self.prices))
        places = np.empty(len(order))
        places[order] = np.arange(len(order))
        return np.broadcast_to(np.where(np.isnan(self.prices), np.nan, -places), scores.shape)

    def probabilities(self, vectors: Floats) -> Floats:
        if self.stored is not None and self.router not in FITTED:
            levels = self.stored.blend.levels[self.rows]
            return np.broadcast_to(levels, (len(vectors), len(levels))).copy()
        if self.stored is not None:
            blend = self.stored.blend
            served = blend.predict if self.router == "best" else blend.neighbours
            return served(vectors).probabilities[:, self.rows]
        assert self.serving is not None
        found = logits(self.serving[self.rows], vectors)
        return np.asarray(1 / (1 + np.exp(-np.clip(found, -80, 80))), np.float32)


def _load(connection: Connection, router: str, filters: Mapping[str, Any]) -> _Loaded:
    encoder = require_routing(connection)
    version = read_version(connection)
    assert version.serving_dimension is not None
    dimension = version.serving_dimension - 1
    nothing = np.zeros(0)
    empty = _Loaded(version.version, encoder, dimension, [], None, None, router, [],
                    np.zeros(0, np.intp), nothing, nothing, nothing)  # fmt: skip
    loaded = _with_vectors(connection, empty, version)
    return _with_candidates(loaded, _candidates(connection, router, filters, loaded))


def _reloaded(
    connection: Connection, router: str, filters: Mapping[str, Any], loaded: _Loaded
) -> _Loaded:
    """Return the current version with its candidates of now, vectors read only where needed."""
    if read_version(connection).version == loaded.version:
        candidates = _candidates(connection, router, filters, loaded)
        # A merge gives the rows of a version to another key.
        if {row.model_id for row in candidates} <= set(loaded.keys):
            return _with_candidates(loaded, candidates)
    return _load(connection, router, filters)


def _with_vectors(connection: Connection, empty: _Loaded, version: EmbeddingVersion) -> _Loaded:
    if empty.router == "factorization":
        names, serving = read_serving(connection, version.version)
        rows = connection.execute(
            text("SELECT name, model_id FROM store.models WHERE name = ANY (:names)"),
            {"names": names},
        )
        keys = {row.name: row.model_id for row in rows}
        return replace(empty, keys=[keys[name] for name in names], serving=serving)
    stored = read_router(connection, version.version)
    return replace(empty, keys=stored.model_ids.tolist(), stored=stored)


def _candidates(
    connection: Connection, router: str, filters: Mapping[str, Any], loaded: _Loaded
) -> Sequence[Any]:
    """Return the models that pass the filters, with their prices, as SQL has them."""
    given = {name: value for name, value in filters.items() if value is not None}
    arguments = "".join(f", {name} => :{name}" for name in given)
    # A million tokens of input alone; with the price, three of input to one of output, that gives
    # the price of output.
    common = f"k => {_EVERY}, input_tokens => 1000000, output_tokens => 0{arguments}"
    prompt = ""
    if router == "factorization":
        prompt = "CAST(:any_prompt AS vector), "
    function = "route" if router == "factorization" else "route_best_single"
    if pool := given.get("pool"):
        for name in pool:
            model_names.model_id(connection, name)
        given["pool"] = list(pool)
    try:
        return connection.execute(
            text(f"""
            SELECT m.model_id, m.name, r.price, r.expected_cost AS input
              FROM registry.{function}({prompt}{common}) AS r
              JOIN store.models AS m ON m.name = r.model"""),  # noqa: S608 - fixed names
            {"any_prompt": str([1] + [0] * (loaded.dimension - 1)), **given},
        ).all()
    except DBAPIError as error:
        reason = translated(error, "choose the models to route to")
        if isinstance(error.orig, psycopg.errors.NoDataFound):
            raise NoModelLeftError(str(reason)) from error
        raise reason from error


def _with_candidates(loaded: _Loaded, candidates: Sequence[Any]) -> _Loaded:
    places = {key: place for place, key in enumerate(loaded.keys)}
    known = sorted(candidates, key=lambda row: row.name)
    prices, inputs = (
        np.array([np.nan if value is None else value for value in column], np.float64)
        for column in ([row.price for row in known], [row.input for row in known])
    )
    return replace(
        loaded,
        models=[row.name for row in known],
        rows=np.array([places[row.model_id] for row in known], np.intp),
        prices=prices,
        inputs=inputs,
        outputs=4 * prices - 3 * inputs,
    )


def _checked(vectors: Floats, loaded: _Loaded) -> Floats:
    found = np.atleast_2d(np.asarray(vectors, np.float32))
    if found.ndim != 2 or found.shape[1] != loaded.dimension:  # noqa: PLR2004 - P x t
        raise UsageError(
            f"Prompts' vectors of shape {np.shape(vectors)} do not fit: those of the encoder "
            f"{loaded.encoder!r} have {loaded.dimension} dimensions."
        )
    finite = np.isfinite(found).all(axis=1)
    if not finite.all():
        raise UsageError(f"The vector of prompt {int(finite.argmin()) + 1} is not finite.")
    lengths = np.sqrt(np.einsum("ij,ij->i", found, found, dtype=np.float64))
    wrong = ~(np.abs(lengths - 1) <= _TOLERANCE)
    if wrong.any():
        place = int(wrong.argmax())
        raise UsageError(
            f"The vector of prompt {place + 1} has length {lengths[place]:.3g}, not 1: divide it "
            f"by its length, where the encoder {loaded.encoder!r} of version {loaded.version} made "
            "it; that of a text without a word has length 0, and cannot be routed."
        )
    return found


def _tokens(name: str, tokens: float | NDArray[np.float64], prompts: int) -> NDArray[np.float64]:
    found = np.asarray(tokens, np.float64)
    if found.shape not in {(), (prompts,)}:
        raise UsageError(
            f"{name} is a number, or one for each of {prompts} prompts, not of shape {found.shape}."
        )
    if not (np.isfinite(found) & (found >= 0)).all():
        raise UsageError(f"{name} is finite, and at least 0.")
    return found
