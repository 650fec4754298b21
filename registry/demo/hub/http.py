"""HTTP server on the loopback interface, with access to the socket, so that replies can fail."""

import base64
import hashlib
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; `number` counts from 1, header names are lower-case.

    `form` is the body of a POST.
    """

    number: int
    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    form: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def token(self) -> str | None:
        """The bearer token, None where there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to send: `body` is the JSON itself or the file that holds it."""

    status: int
    body: bytes | Path
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)

    def head(self) -> bytes:
        """Return the status line and the headers, ready for the socket."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if "Content-Length" not in self.headers:
            lines.append(f"Content-Length: {self.length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def having(self, **headers: str) -> "Reply":
        """Return this reply with headers added or replaced (`_` in a name becomes `-`)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


class RateLimit:
    """A fixed window of `quota` requests each `window` seconds; None allows all."""

    def __init__(self, limit: tuple[int, int] | None) -> None:
        self._limit, self._lock = limit, threading.Lock()
        self._opened, self._used = time.monotonic(), 0

    def take(self) -> tuple[bool, dict[str, str]]:
        """Count one request; return whether it is allowed, and the headers with the quota left."""
        quota, window = self._limit or (500, 300)
        with self._lock:
            age = time.monotonic() - self._opened
            if age >= window:
                self._opened, self._used, age = time.monotonic(), 0, 0.0
            allowed = self._limit is None or self._used < quota
            if self._limit is not None and allowed:
                self._used += 1
            return allowed, {
                "ratelimit": f'"api";r={quota - self._used};t={ceil(window - age)}',
                "ratelimit-policy": f'"fixed window";"api";q={quota};w={window}',
            }


class Exchange:
    """A request, the reply to it, and the connection, for the server or a fault to finish."""

    def __init__(self, request: Request, reply: Reply, connection: "_Handler") -> None:
        self.request, self.reply = request, reply
        self._handler = connection

    def send(self, reply: Reply | None = None) -> None:
        """Send the whole reply, or another one."""
        reply = reply or self.reply
        self.write(reply.head())
        if self.request.method == "HEAD":
            return
        if isinstance(reply.body, Path):
            with reply.body.open("rb") as file:
                self._handler.connection.sendfile(file)
        else:
            self.write(reply.body)

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._handler.connection.sendall(data)

    def wait(self, seconds: float) -> bool:
        """Pause this connection; True where the server closes meanwhile."""
        return self._handler.server.closing.wait(seconds)

    def hang_up(self) -> None:
        """Close the connection in order after what was written."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """Break the connection: the client gets a TCP reset."""
        self._handler.close_connection = True
        connection = self._handler.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        # close() would wait for the file objects made of the socket, which end in order.
        os.close(connection.detach())


class Responder(Protocol):
    """Function that answers a request."""

    def __call__(self, request: Request) -> tuple[Reply, Callable[[Exchange], None] | None]:
        """Return the reply, and a function that sends it where it does not arrive in order."""
        ...


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Loopback"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        request = Request(
            number=self.server.count(),
            method=self.command,
            path=unquote(parts.path),
            query=parse_qs(parts.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            form=parse_qs(body.decode("latin-1"), keep_blank_values=True),
        )
        reply, fault = self.server.answer(request)
        exchange = Exchange(request, reply, self)
        (fault or Exchange.send)(exchange)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the base class
        """Print nothing: the server keeps the requests."""


class Loopback(ThreadingHTTPServer):
    """Serves `answer` on 127.0.0.1 until closed; one thread a connection, all ended by close."""

    daemon_threads = False

    def __init__(self, answer: Responder, port: int) -> None:
        self.answer = answer
        self.closing = threading.Event()
        self._lock, self._count = threading.Lock(), 0
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="sample-hub")
        self._thread.start()

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self) -> int:
        """Return the number of the request that is arriving."""
        with self._lock:
            self._count += 1
            return self._count

    def close(self) -> None:
        """Stop serving, break open connections, and wait for their threads."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                if connection.fileno() >= 0:
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Register the connection, then serve it in a thread of its own."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Unregister the connection and close it."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnected; report any other error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def weak_etag(body: bytes) -> str:
    """Return a weak entity tag of `body`, in the form the Hub gives."""
    digest = hashlib.sha1(body, usedforsecurity=False).digest()
    return f'W/"{len(body):x}-{base64.b64encode(digest).decode().rstrip("=")}"'
