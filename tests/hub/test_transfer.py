"""Files of servers that send too slowly."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hub_faults import Drip
from remote_files import Web

from registry.demo.hub.http import Exchange, Reply, Request
from registry.errors import RemoteUnavailableError
from registry.evaluations.remote import web_files
from registry.evaluations.remote.cache import Cache
from registry.hub import transfer


class Slow(Web):
    """Sends what is asked for in twenty pieces, one in a twentieth of a second."""

    def _answer(self, request: Request) -> tuple[Reply, Callable[[Exchange], None] | None]:
        reply, _ = super()._answer(request)
        return reply, Drip(20, 0.05) if request.method == "GET" else None


@pytest.mark.parametrize(("size", "arrives"), [(200, False), (20_000, True)])
def test_a_server_that_sends_hardly_anything_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, size: int, arrives: bool
) -> None:
    # The pace of five minutes, in which a test would end too late.
    monkeypatch.setattr(transfer, "SLOW_AFTER", 0.3)
    with Slow() as web:
        web.files["/f.bin"] = bytes(size)
        [file] = web_files.find(f"{web.url}/f.bin", patience=1).files
        cache = Cache(tmp_path)
        if arrives:
            assert cache.fetch(file, size, lambda _: None).stat().st_size == size
            return
        with pytest.raises(RemoteUnavailableError, match="less than 1 kB a second"):
            cache.fetch(file, size, lambda _: None)
