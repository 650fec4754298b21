"""Content of files over HTTP, in blocks, with retries; a token goes to its own host only."""

import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

from huggingface_hub import get_session
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # public, untyped as such

from registry.errors import RemoteError, RemoteUnavailableError
from registry.hub.client import (
    MAX_REDIRECTS,
    MAX_WAIT,
    RETRIED,
    USER_AGENT,
    HubReply,
    Wait,
    origin,
    retry_after,
)
from registry.hub.deadlines import Opened

_log = logging.getLogger(__name__)

BLOCK = 16 * 2**20
"""Bytes requested at once: as many as may have to be fetched again after an interruption."""

HEADERS_WITHIN = 300.0
"""Seconds until the headers of a reply are here."""

SLOWEST = 1000
"""Bytes a second below which a server is too slow, measured over `SLOW_AFTER` seconds."""

SLOW_AFTER = 300.0

_SHOWN = 2000  # bytes of an error's body that are read
_PIECE = 2**18  # bytes handed on at once
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Head:
    """What a server says of a file: its size and its version, None where it does not."""

    size: int | None
    version: str | None


class RestartError(Exception):
    """The server sends the file from its beginning alone."""


class HttpFile:
    """A file at an http or https address.

    A request that fails is repeated, after waits that grow, until the next wait would end more
    than `patience` seconds after the last byte that arrived; ten times as many where the server
    says how long to wait.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        explain: Callable[[HubReply], Exception] | None = None,
        pinned: bool = False,
        patience: float = 60.0,
        first_wait: float = 0.25,
        read_timeout: float = 60.0,
        on_wait: Callable[[Wait], None] | None = None,
    ) -> None:
        """Send nothing yet.

        Args:
            url: where it is.
            headers: for the host of `url` alone: no other one that it redirects to gets them.
            explain: returns the error of a reply that has no content.
            pinned: its content never changes, so that no version is compared.
            patience: seconds without a byte after which to give up.
            first_wait: seconds before the first repetition.
            read_timeout: seconds without a byte after which a request has failed.
            on_wait: is called before each wait.
        """
        self.url = url
        self._headers = headers or {}
        self._explain = explain or _error
        self._pinned = pinned
        self._patience, self._first_wait = patience, first_wait
        self._timeout = httpx.Timeout(read_timeout, connect=min(10.0, read_timeout))
        self._on_wait = on_wait
        self._target: str | None = None  # where the last redirect led

    def head(self) -> Head:
        """Ask for size and version, without content.

        Raises:
            RemoteError: when there is no such file, or the redirects lead nowhere.
            RemoteUnavailableError: when the server stays out of reach.
        """
        for attempt in _Attempts(self._patience, self._first_wait, self._on_wait, self.url):
            with attempt, self._open("HEAD", {}) as response:
                attempt.check(response)
                # Some servers, and signed addresses, only know GET.
                if response.status_code < 300:  # noqa: PLR2004
                    return self._checked_head(response)
            with attempt, self._open("GET", {"range": "bytes=0-0"}) as response:
                attempt.check(response)
                if response.status_code in (200, 206):
                    return self._checked_head(response)
                if response.status_code == 416:  # noqa: PLR2004
                    return Head(0, None)
                raise self._explain(_reply(response))
        raise AssertionError

    def _checked_head(self, response: httpx.Response) -> Head:
        _require_content(response, self.url)
        return _head(response)

    def chunks(self, start: int, head: Head) -> Iterator[bytes]:
        """Yield the content from a position on, in pieces.

        Args:
            start: number of bytes that are here already.
            head: as returned before; another version is an error.

        Raises:
            RemoteError: when the file has changed, or the server rejects the request.
            RemoteUnavailableError: when the server stays out of reach.
            RestartError: when the server cannot continue at `start`.
        """
        position = start
        if head.size == 0:
            return
        while head.size is None or position < head.size:
            for attempt in _Attempts(self._patience, self._first_wait, self._on_wait, self.url):
                with attempt:
                    for piece in self._block(position, head):
                        position += len(piece)
                        attempt.progressed()
                        yield piece
                if attempt.succeeded:
                    break
            if head.size is None:
                return

    def _block(self, position: int, head: Head) -> Iterator[bytes]:
        """Yield one block, or all of the file where the server sends no parts."""
        headers = {}
        if head.size is not None:
            headers["range"] = f"bytes={position}-{min(position + BLOCK, head.size) - 1}"
        with self._open("GET", headers) as response:
            _Attempts.check(response)
            if response.status_code not in (200, 206):
                if self._target is not None and response.status_code < 500:  # noqa: PLR2004
                    # A signed address ends after a while; the one that led there gives another.
                    self._target = None
                    raise httpx.ReadError(f"HTTP {response.status_code} after a redirect")
                if response.status_code == 416:  # noqa: PLR2004
                    raise self._changed()
                raise self._explain(_reply(response))
            _require_content(response, self.url)
            received = _head(response)
            if not self._pinned and received.version != head.version:
                raise self._changed()
            if None not in {received.size, head.size} and received.size != head.size:
                raise self._changed()
            if response.status_code == 200 and position:  # noqa: PLR2004
                raise RestartError
            expected = _expected(response, position, head)
            began, arrived = time.monotonic(), 0
            for piece in response.iter_raw(_PIECE):
                arrived += len(piece)
                self._require_speed(arrived, time.monotonic() - began)
                yield piece
                expected = None if expected is None else expected - len(piece)
            if expected:
                raise httpx.RemoteProtocolError(f"{expected} bytes are missing")

    def _require_speed(self, arrived: int, seconds: float) -> None:
        if seconds > SLOW_AFTER and arrived < SLOWEST * seconds:
            raise RemoteUnavailableError(
                f"{self.url} sends less than {SLOWEST / 1000:.0f} kB a second. What has arrived is "
                "kept: the same command continues there."
            )

    def _changed(self) -> RemoteError:
        return RemoteError(
            f"{self.url} changed while it was read; nothing of it is imported. Import it again."
        )

    @contextmanager
    def _open(self, method: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Send a request and follow redirects; only the first host gets the headers."""
        url = self._target or self.url
        for _ in range(MAX_REDIRECTS):
            sent = {"user-agent": USER_AGENT, "accept-encoding": "identity", **headers}
            if origin(url) == origin(self.url):
                sent |= self._headers
            try:
                request = get_session().stream(
                    method, url, headers=sent, timeout=self._timeout, follow_redirects=False
                )
                with Opened(request, HEADERS_WITHIN) as response:
                    location = response.headers.get("location")
                    if not 300 <= response.status_code < 400 or location is None:  # noqa: PLR2004
                        self._target = url if url != self.url else None
                        yield response
                        return
            except OfflineModeIsEnabled as error:
                raise RemoteError("HF_HUB_OFFLINE is set, so no request is sent.") from error
            except httpx.InvalidURL as error:
                raise RemoteError(f"{url[:200]!r} is no URL.") from error
            url = self._redirected(url, location)
        raise RemoteError(f"{self.url} redirects in a circle.")

    def _redirected(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
        except ValueError:
            target = location
        if origin(target) is None or (url.startswith("https:") and not target.startswith("https:")):
            raise RemoteError(
                f"{self.url} redirects to {target[:200]!r}, which is no https address; it is not "
                "followed."
            )
        return target


class _Attempts:
    """Attempts at one request: a context for each, which waits where it has failed."""

    def __init__(
        self,
        patience: float,
        first_wait: float,
        on_wait: Callable[[Wait], None] | None,
        url: str,
    ) -> None:
        self._patience, self._first_wait, self._on_wait, self._url = (
            patience, first_wait, on_wait, url,
        )  # fmt: skip
        self._began, self._number = time.monotonic(), 0
        self.succeeded = False

    def __iter__(self) -> Iterator["_Attempts"]:
        while not self.succeeded:
            yield self

    def __enter__(self) -> None:
        self.succeeded = False

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> bool:
        if isinstance(error, httpx.RequestError):
            self._wait(error)
            return True
        self.succeeded = error is None
        return False

    def progressed(self) -> None:
        """Note that bytes have arrived: patience begins again."""
        self._began, self._number = time.monotonic(), 0

    @staticmethod
    def check(response: httpx.Response) -> None:
        """Have a request repeated whose status may pass."""
        if response.status_code in RETRIED:
            raise _BusyError(response)

    def _wait(self, error: httpx.RequestError) -> None:
        seconds = min(MAX_WAIT, self._first_wait * 2 ** min(self._number, 20))
        # Spread out, so that clients which failed together do not come back together.
        seconds *= random.uniform(0.5, 1)
        self._number += 1
        patience = self._patience
        if isinstance(error, _BusyError) and error.retry_after is not None:
            seconds = error.retry_after
            patience *= 10
        problem = str(error) or type(error).__name__
        if time.monotonic() + seconds > self._began + patience:
            raise RemoteUnavailableError(
                f"{self._url} cannot be read now ({problem}). What has arrived is kept: the same "
                "command continues there."
            )
        _log.info("%s: %s; waiting %.1f s", self._url, problem, seconds)
        if self._on_wait is not None:
            self._on_wait(Wait(seconds, problem))
        time.sleep(seconds)


class _BusyError(httpx.RequestError):
    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.retry_after = retry_after(response.headers)


def _head(response: httpx.Response) -> Head:
    size = None
    if response.status_code == 206:  # noqa: PLR2004
        matched = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if matched and matched[3] != "*":
            size = int(matched[3])
    elif response.headers.get("content-length", "").isdecimal():
        size = int(response.headers["content-length"])
    return Head(size, response.headers.get("etag") or response.headers.get("last-modified"))


def _expected(response: httpx.Response, position: int, head: Head) -> int | None:
    """Return how many bytes the body has, where that is stated."""
    if response.status_code == 200:  # noqa: PLR2004
        return head.size
    matched = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if matched is None or matched[1] is None or int(matched[1]) != position:
        raise httpx.RemoteProtocolError("it sends another part than the requested one")
    return int(matched[2]) - position + 1


def _require_content(response: httpx.Response, url: str) -> None:
    """Refuse a web page, and content in another form than it was requested in."""
    name = url.partition("?")[0].lower()
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in {"text/html", "application/xhtml+xml"} and not name.endswith(
        (".html", ".htm")
    ):
        raise RemoteError(
            f"{url} answers with a web page in place of a file; it may be a page about the file, "
            "or one that asks to log in. Name the address of the file itself."
        )
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"} and not name.endswith((".gz", ".zst")):
        raise RemoteError(
            f"{url} is sent compressed ({encoding}), although it was asked for as it is; download "
            "it, and import the file."
        )


def _reply(response: httpx.Response) -> HubReply:
    body = b""
    for piece in response.iter_raw(_SHOWN):
        body += piece
        if len(body) > _SHOWN:
            break
    return HubReply(str(response.url), response.status_code, response.headers, body, None)


def _error(reply: HubReply) -> RemoteError:
    if reply.status in (401, 403):
        return RemoteError(f"{reply.url} may not be read without permission ({reply.status}).")
    if reply.status in (404, 410):
        return RemoteError(f"There is no file at {reply.url} ({reply.status}).")
    return RemoteError(f"{reply.url} answered {reply.status} in place of a file.")
