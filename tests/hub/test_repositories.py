"""Lists of the files of a repository, which may not end."""

import pytest
from remote_files import FileServer

from registry.bounded import limits
from registry.demo.hub.http import Reply, Request
from registry.errors import HubError
from registry.hub.client import Hub
from registry.hub.repositories import Snapshot, entries

REPOSITORY = Snapshot("dataset", "org/data", "c0ffee")


class Pages(FileServer):
    """Gives so many pages without a file, and then one with a file; each page names the next."""

    def __init__(self, empty: int) -> None:
        super().__init__()
        self.empty = empty

    def reply(self, request: Request) -> Reply:
        page = int(request.query.get("page", ["0"])[0])
        if page == self.empty:
            return Reply(200, b'[{"type": "file", "path": "a.csv", "size": 1}]', {})
        following = f"{self.url}{request.path}?page={page + 1}"
        return Reply(200, b"[]", {"Link": f'<{following}>; rel="next"'})


def listed(empty: int) -> list[str]:
    with Pages(empty) as server:
        hub = Hub(endpoint=server.url)
        return [each.path for each in entries(hub, REPOSITORY, "", recursive=True)]


def test_some_empty_pages_are_followed() -> None:
    assert listed(limits.EMPTY_PAGES - 1) == ["a.csv"]


def test_empty_pages_without_end_are_left() -> None:
    with pytest.raises(HubError, match="files of org/data does not end"):
        listed(limits.EMPTY_PAGES)
