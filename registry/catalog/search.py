"""Search of the catalog by words and filters."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from registry.catalog import names as model_names
from registry.enums import SearchOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """The arguments of `registry.search_models`; a filter that is None or empty passes every model.

    `family` is any name of a member. `quantization` is `gptq` for a method at any width,
    `gptq-4bit` for one width of it, or `none`. Tags and class names are case-sensitive. `sort`
    defaults to relevance with a query, to name where states include stub, else to downloads.
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
    sort: SearchOrder | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model that matches a search; downloads are those of 30 days, times are in UTC."""

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


_SEARCH = text("""
SELECT m.name, m.author, m.state, m.parameters, m.license, m.pipeline_tag, m.library,
       c.downloads, c.likes, c.trending_score, m.created_at, m.last_modified,
       root.name AS family_root
  FROM registry.search_models(
           :query, :limit, by_author => :author, min_parameters => :min_parameters,
           max_parameters => :max_parameters, by_task => :task, by_library => :library,
           by_family => :family, by_architecture => :architecture,
           by_quantization => :quantization, licenses => :licenses, tags => :tags,
           states => :states, created_after => :created_after, created_before => :created_before,
           modified_after => :modified_after, modified_before => :modified_before, sort => :sort)
       WITH ORDINALITY AS s
  JOIN store.models m ON m.name = s.name
  LEFT JOIN store.counters c USING (model_id)
  LEFT JOIN store.model_families f USING (model_id)
  LEFT JOIN store.models root ON root.model_id = f.family_id
 ORDER BY s.ordinality""")


def search_models(connection: Connection, search: SearchFilter) -> list[FoundModel]:
    """Return the models that `registry.search_models` finds, in its order.

    Raises:
        ModelNotFoundError: when `search.family` names no model.
    """
    if search.family is not None:
        model_names.model_id(connection, search.family)
    arguments = asdict(search)
    for name in ("licenses", "tags", "states"):
        arguments[name] = list(arguments[name])
    arguments["sort"] = search.sort and str(search.sort)
    return [FoundModel(*row) for row in connection.execute(_SEARCH, arguments)]
