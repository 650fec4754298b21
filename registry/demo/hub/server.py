"""Server of the sample Hub: the API for models, on the loopback interface.

Point a client to it with `HF_ENDPOINT`. `python -m registry.demo.hub.server` serves it alone.
"""

import signal
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlencode

import click
import orjson

from registry.demo.hub.http import Exchange, Loopback, RateLimit, Reply, Request, weak_etag
from registry.demo.hub.listing import ListQuery, Parameters, Record, RefusedError
from registry.demo.hub.store import ListingPage, ModelStore
from registry.demo.models import RENAMED
from registry.demo.models import models as sample_models
from registry.errors import UsageError

Fault = Callable[[Exchange], None]
_API = "/api/models"
_JSON = "application/json; charset=utf-8"


class Content(Protocol):
    """Models that a sample Hub serves."""

    def page(self, query: ListQuery, *, trusted: bool) -> ListingPage:
        """Return one page of the listing."""
        ...

    def detail(
        self, name: str, revision: str | None, parameters: Parameters, *, trusted: bool
    ) -> bytes:
        """Return the JSON of one model."""
        ...


class HubServer:
    """A sample Hub that runs while its `with` block does.

    `moved` maps former names to present ones, which they redirect to. `page_limit` is the most
    models of a page; `rate_limit` (requests, seconds) is a fixed window, None rejects nobody. With
    `require_token` every request has to carry that token; without it anonymous requests are
    allowed, and any token that begins with `hf_` is valid. A valid token also sees private models.
    `faults` returns the fault of each request, if any.
    """

    def __init__(
        self,
        models: Iterable[Record] | Content = (),
        *,
        moved: Mapping[str, str] | None = None,
        page_limit: int = 1000,
        rate_limit: tuple[int, int] | None = (500, 300),
        require_token: str | None = None,
        faults: Callable[[Request], Fault | None] | None = None,
        port: int = 0,
    ) -> None:
        self._content: Content = (
            ModelStore(models, moved) if isinstance(models, Iterable) else models
        )
        self._page_limit, self._rate_limit = page_limit, RateLimit(rate_limit)
        self._require_token, self._faults, self._port = require_token, faults, port
        self._lock = threading.Lock()
        self._loopback: Loopback | None = None
        self.requests: list[Request] = []

    def __enter__(self) -> Self:
        """Start serving."""
        self._loopback = Loopback(self._answer, self._port)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop serving; every connection and thread ends."""
        if self._loopback is not None:
            self._loopback.close()
            self._loopback = None

    @property
    def url(self) -> str:
        """The address for `HF_ENDPOINT`; UsageError while not serving."""
        if self._loopback is None:
            raise UsageError("The sample Hub has an address only inside its `with` block.")
        return self._loopback.url

    @property
    def store(self) -> ModelStore:
        """The models, to change while serving; UsageError where they are prepared pages."""
        if not isinstance(self._content, ModelStore):
            raise UsageError("Prepared pages cannot be changed; serve a list of models instead.")
        return self._content

    def replace(self, models: Iterable[Record]) -> None:
        """Serve `models` instead, as on another day."""
        self.store.replace(models)

    def put(self, record: Record) -> None:
        """Add or replace a model."""
        self.store.put(record)

    def remove(self, name: str) -> None:
        """Delete a model."""
        self.store.remove(name)

    def rename(self, old: str, new: str) -> None:
        """Move a model; its old name redirects."""
        self.store.rename(old, new)

    def hide(self, name: str) -> None:
        """Make a model private to somebody else."""
        self.store.hide(name)

    def disable(self, name: str) -> None:
        """Disable a model."""
        self.store.disable(name)

    def expire_cursors(self) -> None:
        """Expire every cursor returned so far."""
        self.store.expire_cursors()

    def _answer(self, request: Request) -> tuple[Reply, Fault | None]:
        with self._lock:
            self.requests.append(request)
            fault = self._faults(request) if self._faults else None
        allowed, limits = self._rate_limit.take()
        try:
            reply = self._route(request, allowed=allowed)
        except RefusedError as rejection:
            reply = Reply(
                rejection.status, orjson.dumps({"error": str(rejection)}), dict(rejection.headers)
            )
        return Reply(reply.status, reply.body, {**_common(reply), **limits, **reply.headers}), fault

    def _route(self, request: Request, *, allowed: bool) -> Reply:
        if not allowed:
            raise RefusedError(429, "We had to rate limit you. Retry later.")
        trusted = self._trusted(request)
        if request.path.rstrip("/") == _API:
            query = ListQuery.parse(request.query, page_limit=self._page_limit)
            page = self._content.page(query, trusted=trusted)
            link = {} if page.next_cursor is None else self._link(request, page.next_cursor)
            return Reply(200, page.body, link)
        if request.path.startswith(f"{_API}/"):
            name, _, revision = request.path.removeprefix(f"{_API}/").partition("/revision/")
            try:
                body = self._content.detail(name, revision or None, request.query, trusted=trusted)
            except RefusedError as rejection:
                raise _keeping_query(rejection, request.query) from None
            return Reply(200, body)
        raise RefusedError(404, "Sorry, we can't find the page you are looking for.")

    def _trusted(self, request: Request) -> bool:
        token, required = request.token, self._require_token
        if token is None and required is None:
            return False
        if token is None or (token != required if required else not token.startswith("hf_")):
            text = "Invalid credentials in Authorization header"
            raise RefusedError(401, text, {"X-Error-Message": text})
        return True

    def _link(self, request: Request, cursor: str) -> dict[str, str]:
        kept = {name: values for name, values in request.query.items() if name != "cursor"}
        query = urlencode({**kept, "cursor": cursor}, doseq=True)
        return {"Link": f'<{self.url}{_API}?{query}>; rel="next"'}


def _common(reply: Reply) -> dict[str, str]:
    if isinstance(reply.body, bytes):
        etag = weak_etag(reply.body)
    else:
        etag = f'W/"{reply.length:x}-{reply.body.stem}"'
    return {
        "Content-Type": _JSON,
        "Date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "ETag": etag,
        "X-Request-Id": f"Root=1-{uuid.uuid4().hex}",
        "Vary": "Origin",
    }


def _keeping_query(rejection: RefusedError, query: Mapping[str, Iterable[str]]) -> RefusedError:
    if "Location" in rejection.headers and query:
        location = f"{rejection.headers['Location']}?{urlencode(query, doseq=True)}"
        return RefusedError(
            rejection.status, str(rejection), {**rejection.headers, "Location": location}
        )
    return rejection


@click.command()
@click.option("--port", type=int, default=0, help="Port on 127.0.0.1 (default: any free one).")
@click.option("--page-limit", type=int, default=1000, show_default=True, help="Models of a page.")
def main(port: int, page_limit: int) -> None:
    """Serve the well-known models of the tour and print the address; SIGTERM or Ctrl-C ends it."""
    models = sample_models(datetime.now(UTC).date())
    serve(HubServer(models, moved=RENAMED, page_limit=page_limit, rate_limit=None, port=port))


def serve(server: HubServer) -> None:
    """Serve until SIGTERM or Ctrl-C, after printing the address."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with server:
        click.echo(server.url)
        ended.wait()


if __name__ == "__main__":
    main()
