"""The crawler against the sample Hub, without a database."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from factories import NOON
from generated_hub.models import generate
from hub_faults import Faults, RepeatingPage, following

from registry.demo.hub.server import HubServer
from registry.enums import SyncKind
from registry.errors import HubError
from registry.hub.client import Hub, ListingQuery, RawPage
from registry.sync.crawl import Crawler, PageGroup
from registry.sync.options import SyncOptions
from registry.sync.readers import LoadKeys
from registry.sync.state import ENDED, SyncState


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer(generate(250), page_limit=100, rate_limit=None) as hub:
        yield hub


def crawl(
    server: HubServer, options: SyncOptions, state: SyncState, keys: LoadKeys | None = None
) -> list[PageGroup]:
    groups = []
    with Crawler(Hub(server.url), state, options, keys) as crawler:
        for group in crawler.groups():
            state.cursor = group.cursor
            groups.append(group)
    return groups


def new_state() -> SyncState:
    return SyncState(scope="test", kind=SyncKind.DELTA, as_of=NOON)


def names(groups: list[PageGroup]) -> list[str]:
    return [name for group in groups for page in group.pages for name in page.listed]


def test_groups_end_with_the_listing(server: HubServer) -> None:
    state = new_state()
    groups = crawl(server, SyncOptions(), state)
    assert len(set(names(groups))) == 250
    assert [group.cursor == ENDED for group in groups] == [False] * (len(groups) - 1) + [True]
    assert state.ended
    requests = len(server.requests)
    assert crawl(server, SyncOptions(), state) == []
    assert len(server.requests) == requests


def test_a_limit_ends_a_crawl_that_the_next_one_resumes(server: HubServer) -> None:
    state = new_state()
    first = crawl(server, SyncOptions(limit=100), state)
    assert not state.ended
    rest = crawl(server, SyncOptions(), state)
    assert len(names(first)) == 100
    assert len(set(names(first)) | set(names(rest))) == len(names(first) + names(rest)) == 250


def test_pages_before_a_circle_are_yielded() -> None:
    groups: list[PageGroup] = []
    faults = Faults({following: RepeatingPage()})
    with (
        HubServer(generate(250), page_limit=100, rate_limit=None, faults=faults) as server,
        Crawler(Hub(server.url), new_state(), SyncOptions()) as crawler,
        pytest.raises(HubError, match="goes in a circle"),
    ):
        groups.extend(crawler.groups())
    assert len(set(names(groups))) == 200
    assert all(group.cursor != ENDED for group in groups)


class Endless:
    """A listing of pages that each name another one, with the same records in turn."""

    def __init__(self, bodies: Sequence[Sequence[str]]) -> None:
        self._bodies, self.asked = bodies, 0

    def first_url(self, query: ListingQuery) -> str:  # noqa: ARG002 - all are listed
        return "page 0"

    def fetch(self, url: str, read: Callable[[RawPage], Any]) -> Any:
        return read(self.fetch_raw(url))

    def fetch_raw(self, url: str) -> RawPage:
        self.asked += 1
        number = int(url.removeprefix("page "))
        records = [{"id": name} for name in self._bodies[number % len(self._bodies)]]
        return RawPage(json.dumps(records).encode(), f"page {number + 1}", url)


@pytest.mark.parametrize(
    ("bodies", "said", "most"),
    [
        ([[]], "does not end: of 20 pages the last 20 have no model", 25),
        ([[f"a/{page}-{each}" for each in range(20)] for page in range(3)], "in a circle", 10),
        ([["org/a"]], "in a circle", 10),
    ],
    ids=["empty pages", "three pages in turn", "one model"],
)
def test_pages_without_end_are_bounded(
    bodies: Sequence[Sequence[str]], said: str, most: int
) -> None:
    source = Endless(bodies)
    groups: list[PageGroup] = []
    with (
        Crawler(source, new_state(), SyncOptions()) as crawler,
        pytest.raises(HubError, match=said),
    ):
        groups.extend(crawler.groups())
    assert all(group.cursor != ENDED for group in groups)
    assert source.asked <= most


def test_keys_are_drawn_for_the_pages_of_an_initial_load() -> None:
    drawn: list[range] = []

    def draw() -> range:
        drawn.append(range(100 * len(drawn), 100 * (len(drawn) + 1)))
        return drawn[-1]

    with HubServer(generate(2000), page_limit=100, rate_limit=None) as server:
        groups = crawl(server, SyncOptions(page_size=100), new_state(), LoadKeys(draw, NOON))
    pages = [page for group in groups for page in group.pages]
    assert len(pages) == 20
    keys = [page.batch.keys[0] for page in pages if page.batch is not None]
    assert keys
    assert len(set(keys)) == len(keys)
    assert len(drawn) >= len(keys)
    # A prepared page has its body for where it turns out not to be new.
    prepared = next(page for page in pages if page.batch is not None)
    assert [*prepared.with_records().listed] == [*prepared.listed]
