"""Client of the Hugging Face Hub: pages of its listing, look-ups of models, and other requests."""

import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

from huggingface_hub import __version__ as hf_version
from huggingface_hub import constants, get_session
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import (  # type: ignore[attr-defined] # public, untyped as such
    get_token_to_send,
    httpx,
    parse_ratelimit_headers,
)

from registry.bounded import limits
from registry.errors import CursorExpiredError, HubError, HubUnavailableError, UsageError
from registry.hub.deadlines import Opened
from registry.hub.decode import Rejected, decode_page
from registry.hub.parents import model_name
from registry.hub.records import name_of
from registry.version import __version__

logger = logging.getLogger(__name__)

# Everything a record is made of, counters included; the listing refuses `baseModels`.
_EXPAND = (
    "author",
    "cardData",
    "config",
    "createdAt",
    "disabled",
    "downloads",
    "downloadsAllTime",
    "evalResults",
    "gated",
    "gguf",
    "lastModified",
    "library_name",
    "likes",
    "pipeline_tag",
    "private",
    "safetensors",
    "sha",
    "tags",
    "trendingScore",
)

LISTED_FIELDS = frozenset({"_id", "id", "modelId", *_EXPAND})
"""Fields of a record in the listing."""

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
MAX_WAIT = 60.0  # seconds between two attempts, where the Hub does not say how long
_MAX_GARBLED = 4  # attempts at a reply that arrives but cannot be read
MAX_REDIRECTS = 5
_SHOWN = 500  # characters of an error of the Hub
_ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})

# The client's own `build_hf_headers` would first ask another address for telemetry.
USER_AGENT = f"llm-registry/{__version__}; hf_hub/{hf_version}"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingQuery:
    """Selection of a listing, newest first: all models, one author's, or those with all tags.

    `sort` is createdAt for a sweep that must miss nothing, lastModified for a delta.
    """

    author: str | None = None
    filters: tuple[str, ...] = ()
    sort: Literal["lastModified", "createdAt"] = "lastModified"
    page_size: int = 1_000


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page of the listing as received; `next_url` is None on the last one."""

    body: bytes
    next_url: str | None
    url: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """The Hub's answer about one model.

    `name` is its present name, or the requested one if there is no record. `record` is None unless
    the model is listed, and also where the Hub shows it only to approved users (gated).
    """

    state: Literal["listed", "disabled", "gone"]
    name: str
    record: object | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause before the next request, in seconds, and its reason."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class HubReply:
    """A reply, received whole."""

    url: str
    status: int
    headers: httpx.Headers
    body: bytes
    next_link: str | None


class Hub:
    """A client of one Hub that waits as the Hub asks, within a limit.

    `endpoint` and `token` default to the Hub client's own: HF_ENDPOINT, and HF_TOKEN or the saved
    login (False sends none). The token goes to the endpoint's own origin only. Each request may
    take `connect_timeout` seconds to connect, `read_timeout` without a byte and `reply_timeout`
    as a whole. A failing one is repeated, after `first_wait` seconds and then twice as long each
    time, until the next wait would end more than `patience` seconds after the first attempt.
    `on_wait` is called before each pause.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        token: str | bool | None = None,
        patience: float = 600.0,
        first_wait: float = 1.0,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        reply_timeout: float = 300.0,
        on_wait: Callable[[Wait], None] | None = None,
    ) -> None:
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        if origin(self.endpoint) is None:
            raise UsageError(
                f"The Hub's address {self.endpoint!r} is no http or https URL; check HF_ENDPOINT."
            )
        self._token = token
        self._headers: dict[str, str] | None = None
        self._patience = patience
        self._first_wait = first_wait
        self._timeout = httpx.Timeout(read_timeout, connect=connect_timeout)
        self._reply_timeout = reply_timeout
        self._on_wait = on_wait
        self._allowed_at = 0.0  # on the monotonic clock: the end of the last requested wait

    def first_url(self, query: ListingQuery) -> str:
        """Return the address of the first page of a listing."""
        parameters = [("filter", tag) for tag in query.filters]
        if query.author is not None:
            parameters.append(("author", query.author))
        parameters += [("sort", query.sort), ("limit", str(query.page_size))]
        parameters += [("expand", field) for field in _EXPAND]
        return f"{self.endpoint}/api/models?{urlencode(parameters)}"

    def fetch(self, url: str, read: Callable[[RawPage], _T]) -> _T:
        """Fetch one page of a listing and read it, again where `read` raises `HubError`.

        Args:
            url: its address, which is `first_url` or a `next_url`.
            read: returns the result.

        Raises:
            CursorExpiredError: when the Hub rejects the cursor of the address.
            HubUnavailableError: when it stays out of reach or busy beyond `patience`.
            HubError: when its reply cannot be used.
        """

        def readable(reply: HubReply) -> _T:
            page = self._raw(reply)
            with _repeatable(reply):
                return read(page)

        return self.ask(url, readable)

    def fetch_raw(self, url: str) -> RawPage:
        """Fetch one page without reading it; its body may be no list of records.

        Raises as `fetch` does.
        """
        return self.ask(url, self._raw)

    def lookup(self, name: str) -> Lookup:
        """Look up one model by its name, present or former.

        Raises only if the Hub as a whole cannot be used: `HubUnavailableError` and `HubError`.
        """
        if model_name(name) is None:
            return Lookup("gone", name)
        fields = urlencode([("expand", field) for field in _EXPAND])
        url = f"{self.endpoint}/api/models/{quote(name)}?{fields}"
        return self.ask(url, lambda reply: _lookup(name, reply))

    def ask(
        self,
        url: str,
        read: Callable[[HubReply], _T],
        *,
        form: Mapping[str, Sequence[str]] | None = None,
    ) -> _T:
        """Send one request and read its reply; `form` makes it a POST.

        Raises as `fetch` does, and what `read` raises; a status that may pass is tried again.
        """
        started, attempts, garbled = time.monotonic(), 0, 0
        while True:
            if (rest := self._allowed_at - time.monotonic()) > 0:
                self._pause(Wait(rest, "rate limited"), started)
            attempts += 1
            # Spread out, so that clients which failed together do not come back together.
            wait = min(MAX_WAIT, self._first_wait * 2 ** min(attempts - 1, 20))
            wait *= random.uniform(0.5, 1)
            try:
                reply = self._send(url, form)
                if reply.status not in RETRIED:
                    return read(reply)
                problem = f"HTTP {reply.status} from {_where(reply)}"
                stated = retry_after(reply.headers)
                wait = wait if stated is None else stated
            except _GarbledReplyError as error:
                garbled += 1
                if garbled == _MAX_GARBLED:
                    raise HubError(f"{error} Tried {garbled} times.") from error
                problem = str(error)
            except httpx.RequestError as error:
                problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            if self._allowed_at <= time.monotonic():
                self._pause(Wait(wait, problem), started)

    def _pause(self, wait: Wait, started: float) -> None:
        """Sleep, unless that would end beyond `patience`."""
        if time.monotonic() + wait.seconds > started + self._patience:
            raise HubUnavailableError(
                f"The Hub at {self.endpoint} cannot be used now ({wait.reason}): the next attempt "
                f"is due in {wait.seconds:.0f} s, beyond the {self._patience:.0f} s that one "
                f"request may take. Try again later."
            )
        logger.info("The Hub at %s: %s; waiting %.1f s", self.endpoint, wait.reason, wait.seconds)
        if self._on_wait is not None:
            self._on_wait(wait)
        time.sleep(wait.seconds)

    def headers(self) -> Mapping[str, str]:
        """Return the headers of every request to the endpoint, its token included."""
        if self._headers is None:
            self._headers = {"user-agent": USER_AGENT}
            if token := get_token_to_send(self._token):
                self._headers["authorization"] = f"Bearer {token}"
        return self._headers

    def _send(self, url: str, form: Mapping[str, Sequence[str]] | None) -> HubReply:
        """Send one request, follow redirects within the endpoint, and read the whole reply."""
        for _ in range(MAX_REDIRECTS):
            self._require_endpoint(url)
            try:
                reply = self._receive(url, form)
            except OfflineModeIsEnabled as error:
                raise HubError(
                    "HF_HUB_OFFLINE is set, so no request is sent to the Hub."
                ) from error
            except httpx.InvalidURL as error:
                raise HubError(f"The Hub gave an address that is no URL: {url!r}.") from error
            self._note_rate_limit(reply.headers)
            if not 300 <= reply.status < 400 or "location" not in reply.headers:  # noqa: PLR2004
                return reply
            url = _join(url, reply.headers["location"])
        raise HubError(f"The Hub redirects in a circle: {url}.")

    def _receive(self, url: str, form: Mapping[str, Sequence[str]] | None) -> HubReply:
        finish_by = time.monotonic() + self._reply_timeout
        body = bytearray()
        request = get_session().stream(
            "GET" if form is None else "POST",
            url,
            data=form,
            # What expands more, or twice, could fill the memory by a few bytes.
            headers={**self.headers(), "accept-encoding": "gzip"},
            timeout=self._timeout,
            follow_redirects=False,
        )
        with Opened(request, self._reply_timeout) as response:
            encoding = response.headers.get("content-encoding", "").strip().lower()
            if encoding not in _ENCODINGS:
                raise HubError(f"The reply to {url} is compressed by {encoding[:40]!r}, not gzip.")
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > finish_by:
                    raise httpx.ReadTimeout(f"no end after {self._reply_timeout:.0f} s")
                if len(body) > limits.REPLY:
                    raise HubError(
                        f"The reply to {url} has more than {limits.megabytes(limits.REPLY)}; check "
                        "HF_ENDPOINT, or ask for less at once: --page-size 100."
                    )
            link = response.links.get("next", {}).get("url")
            return HubReply(url, response.status_code, response.headers, bytes(body), link)

    def _require_endpoint(self, url: str) -> None:
        if origin(url) != origin(self.endpoint):
            raise HubError(
                f"The address {url[:200]!r} is not on {self.endpoint}; it is not followed, so that "
                f"the access token cannot leak. Check HF_ENDPOINT."
            )

    def _note_rate_limit(self, headers: httpx.Headers) -> None:
        limit = parse_ratelimit_headers(headers)
        if limit is not None and limit.remaining == 0:
            # One second more, because the Hub rounds down.
            self._allowed_at = time.monotonic() + limit.reset_in_seconds + 1

    def _raw(self, reply: HubReply) -> RawPage:
        if reply.status in (400, 410) and "cursor=" in urlsplit(reply.url).query:
            raise CursorExpiredError(
                f"The Hub no longer knows the listing's cursor ({_message(reply)}); "
                f"the listing has to start again."
            )
        if reply.status != httpx.codes.OK:
            raise reply_error(reply)
        next_url = _join(reply.url, reply.next_link) if reply.next_link else None
        if next_url is not None:
            self._require_endpoint(next_url)
        if next_url == reply.url:
            raise HubError(f"The page {reply.url} names itself as the next one.")
        return RawPage(reply.body, next_url, reply.url)


class _GarbledReplyError(HubError):
    """A reply that cannot be read; another attempt may succeed."""


@contextmanager
def _repeatable(reply: HubReply) -> Iterator[None]:
    """Have the request repeated where the reply turns out to be unreadable."""
    try:
        yield
    except HubError as error:
        raise _GarbledReplyError(f"{_where(reply)}: {error}") from error


def _lookup(name: str, reply: HubReply) -> Lookup:
    if reply.status == httpx.codes.OK:
        with _repeatable(reply):
            record, *others = decode_page(b"[" + reply.body + b"]") or [None]
        if others or not isinstance(record, dict | Rejected):
            raise _GarbledReplyError(f"{_where(reply)}: the reply is no record.")
        return Lookup("listed", name_of(record) or name, record)
    code, message = reply.headers.get("x-error-code"), reply.headers.get("x-error-message", "")
    if message.startswith("Invalid credentials"):
        raise reply_error(reply)
    if "disabled" in message or reply.status == httpx.codes.UNAVAILABLE_FOR_LEGAL_REASONS:
        return Lookup("disabled", name)
    if code == "GatedRepo":
        return Lookup("listed", name)
    if httpx.codes.is_client_error(reply.status):  # 401 and 403 may also mean "private"
        return Lookup("gone", name)
    raise reply_error(reply)


def reply_error(reply: HubReply) -> HubError:
    """Return the error of a reply that is none of use."""
    message = f"{_where(reply)} answered {reply.status}: {_message(reply)}"
    if reply.status in (401, 403):
        return HubError(f"{message}. Check HF_TOKEN, or log in again with `hf auth login`.")
    return HubError(f"{message}.")


def _message(reply: HubReply) -> str:
    message = reply.headers.get("x-error-message") or reply.body[:200].decode(errors="replace")
    return " ".join(message.split())[:_SHOWN] or "no reason given"


def _where(reply: HubReply) -> str:
    request = reply.headers.get("x-request-id", "unknown")
    # The requested fields are always the same, and three quarters of the address.
    url = re.sub(r"(?<=[?&])expand=[^&]*&?", "", reply.url).rstrip("?&")
    return f"{url} (request id {request})"


def retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds after which a server allows another attempt, where it says so."""
    seconds = headers.get("retry-after", "").strip()
    return float(seconds) + 1 if seconds.isdecimal() else None


def _join(url: str, link: str) -> str:
    try:
        return urljoin(url, link)
    except ValueError:  # no URL, which is an error later
        return link


def origin(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of an address; None where it is no URL of the web."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    if port is None or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port
