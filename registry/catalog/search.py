"""Searching the catalog: words and filters in, models in the order asked for out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

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
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from registry.catalog import names as model_names
from registry.db.schema import counters, model_families, models

Sort = Literal["relevance", "downloads", "likes", "trending", "created", "modified", "name"]

TIERS = ("name", "tags", "similar")
"""Where words are looked for, one after the other; see `store.search_alternatives`."""

STAGES = ("top=4", "top=3", "top=2", None)
"""Lexemes of `models.search` that pick out the popular: the most downloaded first, then all."""

LOOKED_AT = 50
"""Models found by words of their names, at least, for those of just that name to come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """Which models to find; a filter that is None or empty lets every model through.

    `family` is the name of any member. `quantization` is `gptq` for a method of any width,
    `gptq-4bit` for one width of it, or `none`. Case counts in tags and class names alone. `sort`
    defaults to relevance where there is a query, else to downloads, but to name where stubs are
    asked for: other orders leave out the models that have nothing to be ordered by, and stubs have
    no counters or dates.
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
        """Whether `store.matching_models` is fast at all the filters that are set."""
        others = (
            self.task, self.library, self.family, self.architecture, self.quantization,
            self.created_after, self.created_before, self.modified_after, self.modified_before,
        )  # fmt: skip
        few = len(self.licenses) <= 1 and len(self.tags) <= 1 and not self.states
        # Other tags are no lexemes; see `store.is_telling`.
        told = all(":" not in tag and not tag.endswith("_compatible") for tag in self.tags)
        return few and told and all(each is None for each in others)

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

    By relevance, the model of that very name comes first, then those with all words in their
    names, then in names or tags; and where these are not enough, those with words like them. In
    each the most downloaded come first.

    Raises:
        ModelNotFoundError: when `wanted.family` names no model.
    """
    words, conditions = wanted.words, _conditions(connection, wanted)
    usual: Sort = "name" if "stub" in wanted.states else "relevance" if words else "downloads"
    sort = wanted.sort or usual
    if words is None:
        order = "downloads" if sort == "relevance" else sort
        return _describe(connection, _find(connection, wanted, None, conditions, order))
    if sort == "relevance":
        if not conditions:
            return _describe(connection, _most_relevant(connection, words, wanted.limit))
        return _describe(connection, _relevant(connection, wanted, words, conditions))
    tiers = _meanings(connection, words, TIERS[:2])
    found: list[int] = []
    if tiers:
        either = " | ".join(f"({each.query})" for each in tiers)
        meaning = _Words(either, sum(each.models for each in tiers))
        found = _find(connection, wanted, meaning, conditions, sort)
    if not found:
        for meaning in _meanings(connection, words, TIERS[2:]):
            found = _find(connection, wanted, meaning, conditions, sort)
    return _describe(connection, found)


def _most_relevant(connection: Connection, words: str, limit: int) -> list[int]:
    return list(
        connection.scalars(
            text("""
            SELECT m.model_id
              FROM registry.search_models(:words, :limit) WITH ORDINALITY AS found
              JOIN store.models m USING (name)
             ORDER BY found.ordinality"""),
            {"words": words, "limit": limit},
        )
    )


def _relevant(
    connection: Connection,
    wanted: SearchFilter,
    words: str,
    conditions: Sequence[ColumnElement[bool]],
) -> list[int]:
    # As `registry.search_models` does without further conditions.
    looked_at = replace(wanted, limit=max(wanted.limit, LOOKED_AT))
    named = models.c.model_id == func.registry.model_id(words)
    # Of a stub that an alias finds nothing more is known: who asks wants what is like it first.
    is_first = or_(models.c.state != "stub", func.lower(models.c.name) == func.lower(words))
    exact = connection.execute(select(models.c.model_id, is_first).where(named, *conditions)).all()
    found = dict.fromkeys(key for key, first in exact if first)
    for tier in TIERS:
        # Who names a model exactly wants it and its like, not what is spelled similarly.
        if len(found) >= wanted.limit or (tier == "similar" and (found or exact)):
            break
        for meaning in _meanings(connection, words, [tier]):
            keys = _find(connection, looked_at, meaning, conditions, "downloads")
            if tier == "name":
                keys = _own_name_first(connection, words, keys)
            found |= dict.fromkeys(keys)
    found |= dict.fromkeys(key for key, _ in exact)
    return list(found)[: wanted.limit]


def _own_name_first(connection: Connection, words: str, keys: Sequence[int]) -> list[int]:
    """Put models first whose name without its organisation is just what is asked for."""
    own = func.lower(func.split_part(models.c.name, "/", 2)) == func.lower(words)
    named = set(
        connection.scalars(select(models.c.model_id).where(models.c.model_id.in_(keys), own))
    )
    return sorted(keys, key=lambda key: key not in named)


class _Words(NamedTuple):
    """What words mean in a tier, as a tsquery, and how many models that finds at most."""

    query: str
    models: int


def _meanings(connection: Connection, words: str, tiers: Sequence[str]) -> list[_Words]:
    """Return what the words mean in each tier; nothing where they mean nothing."""
    rows = connection.execute(
        text("""
        SELECT q.query::text, q.estimate
          FROM unnest(cast(:tiers AS text[])) WITH ORDINALITY AS t (tier, place),
               store.search_terms(:words) AS terms,
               store.search_query(terms, t.tier) AS q
         WHERE q.query IS NOT NULL
         ORDER BY t.place"""),
        {"words": words, "tiers": list(tiers)},
    )
    return [_Words(*row) for row in rows]


def _find(
    connection: Connection,
    wanted: SearchFilter,
    words: _Words | None,
    conditions: Sequence[ColumnElement[bool]],
    sort: Sort,
) -> list[int]:
    """Return the keys of the models that have the words and meet the conditions, in order."""
    if sort == "downloads" and wanted.is_simple:
        keys = _most_downloaded(connection, wanted, words)
        if keys is not None:
            return keys
    lexemes = _lexemes(connection, wanted)
    parts = [f"({each})" for each in (words and words.query, *lexemes) if each]
    if sort != "downloads":
        return _scan(connection, parts, conditions, sort, wanted.limit)
    # Those with most downloads are found among the popular: no need to fetch all to sort them.
    found: list[int] = []
    for stage in STAGES:
        narrowed = [*parts, f"'{stage}'"] if stage else parts
        found = _scan(connection, narrowed, conditions, sort, wanted.limit)
        if len(found) >= wanted.limit:
            break
    return found


def _most_downloaded(
    connection: Connection, wanted: SearchFilter, words: _Words | None
) -> list[int] | None:
    """Do as `_find` does, by a function that asks the index only for what pays.

    None where the index knows of nothing that is asked for.
    """
    keys: list[int] | None = connection.scalar(
        text("""
        SELECT store.matching_models(
                   s.queries, s.counts, :limit, :license, :tag, :low, :high)
          FROM (SELECT array_remove(f.queries || cast(:words AS tsquery), NULL) AS queries,
                       array_remove(f.counts || cast(:models AS bigint), NULL) AS counts
                  FROM store.search_filter(:author, :license, :tag, :low, :high) AS f) AS s
         WHERE s.queries <> '{}'"""),
        {
            "words": words and words.query,
            "models": words and words.models,
            "author": wanted.author,
            "license": wanted.licenses[0] if wanted.licenses else None,
            "tag": wanted.tags[0] if wanted.tags else None,
            "low": wanted.min_parameters,
            "high": wanted.max_parameters,
            "limit": wanted.limit,
        },
    )
    return keys


def _scan(
    connection: Connection,
    parts: Sequence[str],
    conditions: Sequence[ColumnElement[bool]],
    sort: Sort,
    limit: int,
) -> list[int]:
    if parts:
        query = cast(" & ".join(parts), TSQUERY)
        conditions = [models.c.search.op("@@", return_type=Boolean())(query), *conditions]
    # The planner takes words to be more frequent together than they are, and reads everything.
    seqscan = "off" if parts else "on"
    connection.exec_driver_sql(f"SET LOCAL enable_seqscan = {seqscan}; SET LOCAL jit = off")
    return list(connection.scalars(_ordered(sort, conditions, limit)))


def _lexemes(connection: Connection, wanted: SearchFilter) -> list[str]:
    """Return what the inverted index knows of the filters, as tsqueries that must all hold.

    It may let more models through than the filters do; the conditions are checked as well.
    """
    rows = connection.execute(
        text("""
        SELECT (SELECT string_agg(format('(%s)', query), ' & ')
                  FROM store.search_filter(:author, NULL, NULL, :low, :high) AS f,
                       unnest(f.queries) AS query) AS of_all,
               (SELECT string_agg(query::text, ' | ')
                  FROM unnest(cast(:licenses AS text[])) AS wanted,
                       store.search_filter(NULL, wanted, NULL, NULL, NULL) AS f,
                       unnest(f.queries) AS query) AS of_licenses,
               (SELECT string_agg(query::text, ' & ')
                  FROM unnest(cast(:tags AS text[])) AS wanted,
                       store.search_filter(NULL, NULL, wanted, NULL, NULL) AS f,
                       unnest(f.queries) AS query) AS of_tags"""),
        {
            "author": wanted.author,
            "low": wanted.min_parameters,
            "high": wanted.max_parameters,
            "licenses": list(wanted.licenses),
            "tags": list(wanted.tags),
        },
    ).one()
    return [each for each in rows if each]


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
        found.append(_is_quantized(wanted.quantization.lower()))
    if wanted.architecture is not None:
        found.append(_has_architecture(wanted.architecture))
    if wanted.family is not None:
        found.append(_in_family(model_names.model_id(connection, wanted.family)))
    return found


def _equalities(wanted: SearchFilter) -> Iterator[ColumnElement[bool]]:
    m = models.c
    if wanted.author is not None:
        # Those that the index brings, by the author in lower case, are few.
        yield func.lower(m.author) == func.lower(wanted.author)
    for column, value in ((m.pipeline_tag, wanted.task), (m.library, wanted.library)):
        if value is not None:
            # The usual spelling apart: how frequent it is, the planner knows of the column alone.
            yield or_(column == value.lower(), func.lower(column) == func.lower(value))


def _is_quantized(wanted: str) -> ColumnElement[bool]:
    """Match a method of any width (gptq), one width of it (gptq-4bit), or none."""
    stored = models.c.quantization
    if wanted == "none":
        return stored.is_(None)
    return or_(stored == wanted, func.regexp_replace(stored, "-[0-9]+bit$", "") == wanted)


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


def _ordered(sort: Sort, conditions: Sequence[ColumnElement[bool]], limit: int) -> Select[Any]:
    """Select the keys of the models, in order; joins only what the order needs.

    An inner join to the counters lets their indexes give the order, and the search end as soon as
    it has enough.
    """
    m, c = models.c, counters.c
    if sort == "name":
        return _keys(models, conditions, m.name, limit)
    if sort in {"created", "modified"}:
        moment = m.created_at if sort == "created" else m.last_modified
        # Plain DESC, which is the index read backwards.
        return _keys(models, [*conditions, moment.is_not(None)], desc(moment), limit)
    columns: dict[str, ColumnElement[Any]] = {
        "downloads": c.downloads,
        "likes": c.likes,
        "trending": c.trending_score,
    }
    counted = models.join(counters, c.model_id == m.model_id)
    return _keys(counted, conditions, columns[sort].desc().nulls_last(), limit)


def _keys(
    source: FromClause,
    conditions: Sequence[ColumnElement[bool]],
    order: ColumnElement[Any],
    limit: int,
) -> Select[Any]:
    return (
        select(models.c.model_id)
        .select_from(source)
        .where(*conditions)
        .order_by(order, models.c.model_id)
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


def _describe(connection: Connection, keys: Sequence[int]) -> list[FoundModel]:
    if not keys:
        return []
    return [FoundModel(*row) for row in connection.execute(_DESCRIBE, {"keys": list(keys)})]
