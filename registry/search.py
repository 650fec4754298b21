"""Searching the catalog: words and filters in, models in the order asked for out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    any_,
    cast,
    desc,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from registry import catalog
from registry.schema import counters, model_families, models

Sort = Literal["relevance", "downloads", "likes", "trending", "created", "modified"]

CANDIDATES = 1000
"""How many of the nearest spellings are looked through where no model has the very words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """Which models to find; a filter that is None or empty lets every model through.

    `family` is the name of any member. `sort` defaults to relevance where there is a query, else
    to downloads; orders by a counter or a date leave out the models that have none.
    `quantization` may be `none`.
    """

    query: str | None = None
    licenses: Sequence[str] = ()
    min_parameters: int | None = None
    max_parameters: int | None = None
    task: str | None = None
    library: str | None = None
    author: str | None = None
    family: str | None = None
    tags: Sequence[str] = ()
    architecture: str | None = None
    quantization: str | None = None
    states: Sequence[str] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    modified_after: datetime | None = None
    modified_before: datetime | None = None
    sort: Sort | None = None
    limit: int = 20

    @property
    def is_simple(self) -> bool:
        """Whether `registry.search_models` has all the filters that are set."""
        others = (
            self.task, self.library, self.family, self.architecture, self.quantization,
            self.created_after, self.created_before, self.modified_after, self.modified_before,
        )  # fmt: skip
        few = len(self.licenses) <= 1 and len(self.tags) <= 1 and not self.states
        return few and all(each is None for each in others)

    @property
    def words(self) -> str | None:
        """The query, or None where it is empty."""
        return (self.query or "").strip() or None


@dataclass(frozen=True, slots=True)
class FoundModel:
    """One model found; downloads are those of 30 days, times are in UTC."""

    name: str
    author: str | None
    state: str
    parameters: int | None
    license: str | None
    pipeline_tag: str | None
    library: str | None
    downloads: int | None
    likes: int | None
    trending_score: float | None
    created_at: datetime | None
    last_modified: datetime | None
    family_root: str | None


def search_models(connection: Connection, wanted: SearchFilter) -> list[FoundModel]:
    """Find models by words and filters, at most `wanted.limit` of them, the best first.

    By relevance, models with all the words in their names come before those that have some in
    tags, and the most downloaded first; where none has the words, the nearest spellings are taken.

    Raises:
        ModelNotFoundError: when `wanted.family` names no model.
    """
    sort = wanted.sort or ("relevance" if wanted.words else "downloads")
    words = wanted.words
    if wanted.is_simple and (sort == "relevance" or (words is None and sort == "downloads")):
        return _by_function(connection, wanted)
    conditions = _conditions(connection, wanted)
    if words is None:
        order = "downloads" if sort == "relevance" else sort
        return _run(connection, _ordered(order, conditions, wanted.limit))
    has_words = models.c.search.op("@@")(_tsquery(words, "tags"))
    found = _run(connection, _ordered(sort, [*conditions, has_words], wanted.limit, words))
    return found or _respelled(connection, words, conditions, wanted.limit)


def _tsquery(words: str, tier: str) -> ColumnElement[Any]:
    """Return what `models.search` has to hold; null, which nothing matches, without a word."""
    terms = func.store.search_terms(words)
    found: Select[Any] = select(literal_column("query")).select_from(
        func.store.search_query(terms, tier).alias()
    )
    return found.scalar_subquery()


def _conditions(connection: Connection, wanted: SearchFilter) -> list[ColumnElement[bool]]:
    m = models.c
    found: list[ColumnElement[bool]] = [*_equalities(wanted), *_bounds(wanted)]
    if wanted.licenses:
        found.append(m.license.in_([each.lower() for each in wanted.licenses]))
    if wanted.states:
        found.append(m.state.in_(list(wanted.states)))
    if wanted.tags:
        found.append(m.tags.op("@>", return_type=Boolean())(cast(list(wanted.tags), ARRAY(Text))))
    if wanted.quantization is not None:
        method = wanted.quantization.lower()
        found.append(m.quantization.is_(None) if method == "none" else m.quantization == method)
    if wanted.architecture is not None:
        found.append(_has_architecture(wanted.architecture))
    if wanted.family is not None:
        found.append(_in_family(catalog.model_id(connection, wanted.family)))
    return found


def _equalities(wanted: SearchFilter) -> Iterator[ColumnElement[bool]]:
    m = models.c
    for column, value in (
        (m.pipeline_tag, wanted.task),
        (m.library, wanted.library),
        (m.author, wanted.author),
    ):
        if value is not None:
            yield column == value


def _bounds(wanted: SearchFilter) -> Iterator[ColumnElement[bool]]:
    m = models.c
    if wanted.min_parameters is not None:
        yield m.parameters >= wanted.min_parameters
    if wanted.max_parameters is not None:
        yield m.parameters <= wanted.max_parameters
    for after, column, before in (
        (wanted.created_after, m.created_at, wanted.created_before),
        (wanted.modified_after, m.last_modified, wanted.modified_before),
    ):
        if after is not None:
            yield column >= after
        if before is not None:
            yield column < before


def _in_family(member: int) -> ColumnElement[bool]:
    f = model_families.c
    family = select(f.family_id).where(f.model_id == member).scalar_subquery()
    return models.c.model_id.in_(select(f.model_id).where(f.family_id == family))


def _has_architecture(wanted: str) -> ColumnElement[bool]:
    """Match a class (LlamaForCausalLM), a model type (qwen2_moe) or its family (qwen)."""
    m, lowered = models.c, wanted.lower()
    # The family is costly to compute: only for the few whose model type begins like it.
    begins = or_(
        func.lower(m.model_type).startswith(lowered, autoescape=True),
        and_(
            m.model_type.is_(None),
            func.lower(m.architectures[1]).startswith(lowered, autoescape=True),
        ),
    )
    family = func.store.architecture_family(m.model_type, m.architectures)
    return or_(
        m.model_type == wanted,
        literal(wanted) == any_(m.architectures),
        and_(begins, family == lowered),
    )


def _ordered(
    sort: Sort, conditions: Sequence[ColumnElement[bool]], limit: int, words: str | None = None
) -> Select[Any]:
    """Select the keys of the models, in order; joins only what the order needs.

    An inner join to the counters lets their indexes give the order, and the search end as soon as
    it has enough.
    """
    m, c = models.c, counters.c
    counted = models.join(counters, c.model_id == m.model_id)
    if sort in {"created", "modified"}:
        moment = m.created_at if sort == "created" else m.last_modified
        # Plain DESC, which is the index read backwards.
        return _keys(models, [*conditions, moment.is_not(None)], [desc(moment)], limit)
    if sort == "relevance":
        assert words is not None
        named = m.search.op("@@")(_tsquery(words, "name"))
        order = [desc(named), c.downloads.desc().nulls_last()]
        known = models.outerjoin(counters, c.model_id == m.model_id)
        return _keys(known, conditions, order, limit)
    columns: dict[str, ColumnElement[Any]] = {
        "downloads": c.downloads,
        "likes": c.likes,
        "trending": c.trending_score,
    }
    return _keys(counted, conditions, [columns[sort].desc().nulls_last()], limit)


def _keys(
    source: FromClause,
    conditions: Sequence[ColumnElement[bool]],
    order: Sequence[ColumnElement[Any]],
    limit: int,
) -> Select[Any]:
    return (
        select(models.c.model_id)
        .select_from(source)
        .where(*conditions)
        .order_by(*order, models.c.model_id)
        .limit(limit)
    )


_DESCRIBE = text("""
SELECT m.name, m.author, m.state, m.parameters, m.license, m.pipeline_tag, m.library,
       c.downloads, c.likes, c.trending_score, m.created_at, m.last_modified,
       root.name AS family_root
  FROM unnest(cast(:keys AS bigint[])) WITH ORDINALITY AS wanted (model_id, place)
  JOIN store.models m USING (model_id)
  LEFT JOIN store.counters c USING (model_id)
  LEFT JOIN store.model_families f USING (model_id)
  LEFT JOIN store.models root ON root.model_id = f.family_id
 ORDER BY wanted.place""")


def _run(connection: Connection, keys: Select[Any]) -> list[FoundModel]:
    found = connection.scalars(keys).all()
    if not found:
        return []
    return [FoundModel(*row) for row in connection.execute(_DESCRIBE, {"keys": list(found)})]


def _by_function(connection: Connection, wanted: SearchFilter) -> list[FoundModel]:
    """Take what `registry.search_models` finds, in its order."""
    names = connection.scalars(
        text("""
        SELECT name FROM registry.search_models(
            :words, :limit, :author, :license, :tag, :least, :most)"""),
        {
            "words": wanted.words,
            "limit": wanted.limit,
            "author": wanted.author,
            "license": wanted.licenses[0].lower() if wanted.licenses else None,
            "tag": wanted.tags[0] if wanted.tags else None,
            "least": wanted.min_parameters,
            "most": wanted.max_parameters,
        },
    ).all()
    return _named(connection, names, (), wanted.limit)


def _respelled(
    connection: Connection, words: str, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[FoundModel]:
    """Take what `registry.search_models` makes of the words, as far as it meets the conditions."""
    names = connection.scalars(
        text("SELECT name FROM registry.search_models(:words, :limit)"),
        {"words": words, "limit": CANDIDATES},
    ).all()
    return _named(connection, names, conditions, limit)


def _named(
    connection: Connection,
    names: Sequence[str],
    conditions: Sequence[ColumnElement[bool]],
    limit: int,
) -> list[FoundModel]:
    """Return the models of these names, in this order, that meet the conditions."""
    listed = cast(list(names), ARRAY(Text))
    keys = (
        select(models.c.model_id)
        .where(models.c.name == any_(listed), *conditions)
        .order_by(func.array_position(listed, models.c.name))
        .limit(limit)
    )
    return _run(connection, keys)
