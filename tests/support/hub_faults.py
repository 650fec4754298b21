"""Faults between the Hub and its client, on real connections of the sample Hub."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import orjson

from registry.demo.hub.http import Exchange, Reply, Request
from registry.demo.hub.server import Fault


class Faults:
    """A plan of faults by request; each is used by one request.

    Keys are request numbers, from 1, or predicates on the request. The faults under a number are
    used by that request and those right after it, the faults under a predicate by the next
    requests that it accepts.
    """

    def __init__(
        self, plan: Mapping[int | Callable[[Request], bool], Fault | Iterable[Fault]]
    ) -> None:
        self._plan = [
            (key, [faults] if callable(faults) else list(faults)) for key, faults in plan.items()
        ]
        self.used: list[tuple[Request, Fault]] = []

    def __call__(self, request: Request) -> Fault | None:
        for key, faults in self._plan:
            due = request.number >= key if isinstance(key, int) else key(request)
            if due and faults:
                self.used.append((request, faults[0]))
                return faults.pop(0)
        return None

    @property
    def left(self) -> int:
        """Number of faults that no request has used yet."""
        return sum(len(faults) for _, faults in self._plan)


def listing(request: Request) -> bool:
    """Accept requests for a page of the listing."""
    return request.path == "/api/models"


def following(request: Request) -> bool:
    """Accept requests for a page after the first."""
    return listing(request) and "cursor" in request.query


@dataclass(frozen=True)
class Status:
    """Answer with a status; `retry_after` in seconds, `reset` as a used-up window's seconds left.

    Without `limits` the rate-limit headers are left out.
    """

    status: int
    retry_after: int | None = None
    reset: int | None = None
    limits: bool = True

    def __call__(self, exchange: Exchange) -> None:
        body = orjson.dumps({"error": f"Fault {self.status}"})
        headers = dict(exchange.reply.headers)
        headers.pop("Link", None)
        if not self.limits:
            headers = {k: v for k, v in headers.items() if not k.startswith("ratelimit")}
        if self.reset is not None:
            headers["ratelimit"] = f'"api";r=0;t={self.reset}'
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        exchange.send(Reply(self.status, body, headers))


@dataclass(frozen=True)
class Hang:
    """Send nothing for `seconds`, then close."""

    seconds: float = 60

    def __call__(self, exchange: Exchange) -> None:
        exchange.wait(self.seconds)
        exchange.hang_up()


@dataclass(frozen=True)
class Reset:
    """Break the connection: before the reply, or after a share of its body."""

    after: float | None = None

    def __call__(self, exchange: Exchange) -> None:
        if self.after is not None:
            exchange.write(exchange.reply.head())
            exchange.write(_part(exchange.reply, self.after))
        exchange.reset()


@dataclass(frozen=True)
class Truncated:
    """Send a share of the body that the headers promise, then close in order."""

    share: float = 0.5

    def __call__(self, exchange: Exchange) -> None:
        exchange.write(exchange.reply.head())
        exchange.write(_part(exchange.reply, self.share))
        exchange.hang_up()


@dataclass(frozen=True)
class Body:
    """Send another body with status 200: not JSON, or JSON of another kind."""

    body: bytes = b"<html><body>We are back soon.</body></html>"
    content_type: str = "text/html"

    def __call__(self, exchange: Exchange) -> None:
        reply = Reply(200, self.body, exchange.reply.headers)
        exchange.send(reply.having(Content_Type=self.content_type))


NOT_A_LIST = Body(b'{"models": []}', "application/json; charset=utf-8")


@dataclass(frozen=True)
class RepeatingPage:
    """Link to this page as the next one, or to `url`, an earlier one."""

    url: str | None = None

    def __call__(self, exchange: Exchange) -> None:
        request = exchange.request
        host = request.headers["host"]
        query = "&".join(f"{k}={v}" for k, values in request.query.items() for v in values)
        target = self.url or f"http://{host}{request.path}?{query}"
        exchange.send(exchange.reply.having(Link=f'<{target}>; rel="next"'))


@dataclass(frozen=True)
class ExpiredCursor:
    """Reject the cursor as the Hub rejects an expired one."""

    def __call__(self, exchange: Exchange) -> None:
        Status(400)(exchange)


@dataclass(frozen=True)
class Drip:
    """Send the body in `pieces`, pausing `seconds` before each."""

    pieces: int = 10
    seconds: float = 0.05

    def __call__(self, exchange: Exchange) -> None:
        exchange.write(exchange.reply.head())
        body = _part(exchange.reply, 1)
        step = -(-len(body) // self.pieces)
        for start in range(0, len(body), step):
            if exchange.wait(self.seconds):
                return
            exchange.write(body[start : start + step])


def _part(reply: Reply, share: float) -> bytes:
    body = reply.body if isinstance(reply.body, bytes) else reply.body.read_bytes()
    return body[: int(len(body) * share)]
