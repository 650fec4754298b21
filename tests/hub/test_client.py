"""The client against a real HTTP server on loopback that misbehaves on request."""

import gzip
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from registry.bounded import limits
from registry.errors import CursorExpiredError, HubError, HubUnavailableError, UsageError
from registry.hub.client import Hub, ListingQuery, Lookup, Wait
from registry.hub.decode import decode_page

RECORDS = [{"id": "acme/a"}, {"id": "acme/b", "likes": 3}]
LIMIT = {"ratelimit": '"api";r=495;t=23', "ratelimit-policy": '"fixed window";"api";q=500;w=300'}


@dataclass
class Answer:
    """One reply; `fault` spoils it: "reset", "truncated", "silent" or "slow"."""

    body: bytes | object = b"[]"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Server(ThreadingHTTPServer):
    """Gives the prepared answers in turn, the last one again and again, and notes requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = [Answer()]
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet: the client leaves early in some tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer.fault == "silent":
            self.server.closing.wait(30)
            return
        if answer.fault == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            return
        body = answer.encoded()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        if answer.fault == "slow headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
            while not self.server.closing.wait(0.05):
                self.wfile.write(b"x")
            return
        self.end_headers()
        if answer.fault == "truncated":
            body = body[:-5]
        for start in range(len(body)):
            self.wfile.write(body[start : start + 1] if answer.fault == "slow" else body)
            if answer.fault != "slow" or self.server.closing.wait(0.05):
                break

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Stay quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def waits() -> list[Wait]:
    return []


@pytest.fixture
def hub(server: Server, waits: list[Wait]) -> Hub:
    return Hub(
        server.url,
        token="hf_secret",
        patience=5,
        first_wait=0.01,
        connect_timeout=1,
        read_timeout=0.3,
        reply_timeout=0.5,
        on_wait=waits.append,
    )


class Page(NamedTuple):
    records: list[object]
    next_url: str | None
    url: str


def fetch(hub: Hub, url: str) -> Page:
    return hub.fetch(url, lambda page: Page(decode_page(page.body), page.next_url, page.url))


def listing(hub: Hub) -> Page:
    return fetch(hub, hub.first_url(ListingQuery()))


def test_first_url_asks_for_everything_a_record_needs(hub: Hub) -> None:
    query = ListingQuery(
        author="acme", filters=("gguf", "base_model:merge:acme/a"), sort="createdAt", page_size=50
    )
    parts = urlsplit(hub.first_url(query))
    asked = parse_qs(parts.query)
    assert parts.path == "/api/models"
    assert asked["author"] == ["acme"]
    assert asked["filter"] == ["gguf", "base_model:merge:acme/a"]
    assert (asked["sort"], asked["limit"]) == (["createdAt"], ["50"])
    assert {"cardData", "config", "safetensors", "tags", "sha", "gguf"} <= set(asked["expand"])
    assert not {"siblings", "baseModels", "model-index"} & set(asked["expand"])


def test_page_is_fetched(server: Server, hub: Hub, waits: list[Wait]) -> None:
    link = f'<{server.url}/api/models?limit=2&cursor=eyJfaWQ%2BOi%3D%3D+x>; rel="next"'
    server.answers = [Answer(RECORDS, headers={"Link": link, **LIMIT})]
    page = listing(hub)
    assert page.records == RECORDS
    assert page.url == hub.first_url(ListingQuery())
    assert waits == []
    assert page.next_url is not None
    server.answers = [Answer([])]
    assert fetch(hub, page.next_url).next_url is None
    path, headers = server.requests[1]
    assert path == "/api/models?limit=2&cursor=eyJfaWQ%2BOi%3D%3D+x"  # unchanged
    assert headers["authorization"] == "Bearer hf_secret"
    assert headers["user-agent"].startswith("llm-registry/")


def test_relative_next_link_stays_on_the_endpoint(server: Server, hub: Hub) -> None:
    server.answers = [Answer([], headers={"Link": '</api/models?cursor=x>; rel="next"'})]
    assert listing(hub).next_url == f"{server.url}/api/models?cursor=x"


def test_no_token_is_sent_if_told_so(server: Server) -> None:
    listing(Hub(server.url, token=False))
    assert "authorization" not in server.requests[0][1]


@pytest.mark.parametrize("endpoint", ["huggingface.co", "ftp://huggingface.co", "http://[", "x"])
def test_endpoint_must_be_a_url(endpoint: str) -> None:
    with pytest.raises(UsageError, match="HF_ENDPOINT"):
        Hub(endpoint)


@pytest.mark.parametrize(
    "failure",
    [
        Answer(status=500),
        Answer(status=503, headers={"Retry-After": "soon"}),
        Answer(status=408),
        Answer(fault="reset"),
        Answer(RECORDS, fault="truncated"),
        Answer(fault="silent"),
        Answer(RECORDS, fault="slow"),
        Answer(RECORDS, fault="slow headers"),
        Answer(b"<html>busy</html>"),
        Answer(b'[{"id": "acme/a"'),
        Answer({"error": "Internal"}),
        Answer(b"not gzip", headers={"Content-Encoding": "gzip"}),
    ],
    ids=lambda answer: answer.fault or f"{answer.status} {answer.encoded()[:9]!r}",
)
def test_passing_failure_is_tried_again(
    server: Server, hub: Hub, waits: list[Wait], failure: Answer
) -> None:
    server.answers = [failure, failure, Answer(RECORDS)]
    assert listing(hub).records == RECORDS
    assert len(server.requests) == 3
    assert len(waits) == 2
    assert all(wait.reason for wait in waits)


def test_a_wait_is_told_with_the_address(
    server: Server, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "registry")
    server.answers = [Answer(fault="silent"), Answer(RECORDS)]
    listing(hub)
    (line,) = caplog.messages
    assert line.startswith(f"The Hub at {server.url}: ReadTimeout")
    assert "; waiting 0.0 s" in line


def test_waits_double(server: Server, hub: Hub, waits: list[Wait]) -> None:
    server.answers = [Answer(status=500)] * 4 + [Answer(RECORDS)]
    listing(hub)
    assert len(waits) == 4
    for number, wait in enumerate(waits):
        assert 0.005 * 2**number <= wait.seconds <= 0.01 * 2**number


def test_a_wait_is_a_minute_at_most(server: Server) -> None:
    class StoppedError(Exception):
        pass

    def stop(wait: Wait) -> None:
        raise StoppedError(wait.seconds)

    hub = Hub(server.url, token=False, patience=1e6, first_wait=1e4, on_wait=stop)
    server.answers = [Answer(status=500)]
    with pytest.raises(StoppedError) as stopped:
        listing(hub)
    assert 30 <= stopped.value.args[0] <= 60


def test_rate_limit_is_waited_for(server: Server, hub: Hub, waits: list[Wait]) -> None:
    exhausted = {"ratelimit": '"api";r=0;t=0'}
    server.answers = [Answer(status=429, headers=exhausted), Answer(RECORDS)]
    started = time.monotonic()
    assert listing(hub).records == RECORDS
    assert time.monotonic() - started >= 0.9
    assert [wait.reason for wait in waits] == ["rate limited"]


def test_retry_after_is_waited_for(server: Server, hub: Hub, waits: list[Wait]) -> None:
    server.answers = [Answer(status=429, headers={"Retry-After": "0"}), Answer(RECORDS)]
    assert listing(hub).records == RECORDS
    assert [wait.seconds for wait in waits] == [1]


def test_used_up_allowance_is_waited_for_before_the_next_request(
    server: Server, hub: Hub, waits: list[Wait]
) -> None:
    server.answers = [Answer([], headers={"ratelimit": '"api";r=0;t=0'}), Answer(RECORDS)]
    listing(hub)
    assert waits == []
    listing(hub)
    assert len(server.requests) == 2
    assert [wait.reason for wait in waits] == ["rate limited"]
    assert 0.5 < waits[0].seconds <= 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=429, headers={"ratelimit": '"api";r=0;t=299'}),
        Answer(status=503, headers={"Retry-After": "3600"}),
    ],
)
def test_wait_beyond_our_patience_is_not_begun(
    server: Server, hub: Hub, waits: list[Wait], answer: Answer
) -> None:
    server.answers = [answer]
    with pytest.raises(HubUnavailableError, match="Try again later") as caught:
        listing(hub)
    assert caught.value.exit_code == 75
    assert waits == []
    assert len(server.requests) == 1


def test_outage_ends_with_our_patience(server: Server) -> None:
    server.answers = [Answer(status=502)]
    hub = Hub(server.url, token=False, patience=0.3, first_wait=0.01)
    with pytest.raises(HubUnavailableError, match="HTTP 502"):
        listing(hub)
    assert len(server.requests) > 2


def test_unreachable_hub_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    hub = Hub(f"http://127.0.0.1:{port}", token=False, patience=0.1, first_wait=0.01)
    with pytest.raises(HubUnavailableError, match=str(port)):
        listing(hub)
    with pytest.raises(HubUnavailableError):
        hub.lookup("acme/a")


def test_garbled_reply_ends_with_its_address_and_request_id(server: Server, hub: Hub) -> None:
    server.answers = [Answer({"error": "Invalid"}, headers={"x-request-id": "Root=1-abc"})]
    with pytest.raises(HubError, match=r"/api/models\?.*Root=1-abc.*Invalid") as caught:
        listing(hub)
    assert not isinstance(caught.value, HubUnavailableError)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:9/api/models?cursor=x",
        "https://example.com/api/models?cursor=x",
        "//example.com/api/models?cursor=x",
        "http://[::1/api",
        "http://user@127.0.0.1:99999/api",
        "file:///etc/passwd",
    ],
)
def test_next_link_to_elsewhere_is_refused(server: Server, hub: Hub, link: str) -> None:
    server.answers = [Answer([], headers={"Link": f'<{link}>; rel="next"'})]
    with pytest.raises(HubError, match="token"):
        listing(hub)


def test_foreign_address_is_not_asked(server: Server) -> None:
    hub = Hub("https://huggingface.co", token="hf_secret", patience=0.1)
    with pytest.raises(HubError, match="token"):
        fetch(hub, f"{server.url}/api/models?cursor=x")
    assert server.requests == []


def test_redirect_to_elsewhere_is_refused(server: Server, hub: Hub) -> None:
    with Server() as other:
        server.answers = [Answer(status=302, headers={"Location": f"{other.url}/api/models"})]
        with pytest.raises(HubError, match="token"):
            listing(hub)
        assert other.requests == []


def test_a_reply_that_expands_without_bound_is_refused(
    server: Server, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REPLY", 2**20)
    body = gzip.compress(b" " * (limits.REPLY + 10**6))
    server.answers = [Answer(body, headers={"Content-Encoding": "gzip"})]
    with pytest.raises(HubError, match="has more than 1 MB"):
        listing(hub)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_only_encodings_of_bounded_expansion_are_read(
    server: Server, hub: Hub, encoding: str
) -> None:
    server.answers = [Answer(RECORDS, headers={"Content-Encoding": encoding})]
    with pytest.raises(HubError, match="is compressed by"):
        listing(hub)
    assert server.requests[0][1]["accept-encoding"] == "gzip"


def test_the_text_of_an_error_is_one_line(server: Server, hub: Hub) -> None:
    server.answers = [Answer(b"no\r\nError: all\x1b[2J is well " + b"x" * 5_000, status=400)]
    with pytest.raises(HubError) as raised:
        listing(hub)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1_000


def test_redirect_circle_ends(server: Server, hub: Hub) -> None:
    server.answers = [Answer(status=307, headers={"Location": "/api/models"})]
    with pytest.raises(HubError, match="circle"):
        listing(hub)


def test_next_link_to_itself_is_refused(server: Server, hub: Hub) -> None:
    url = f"{server.url}/api/models?cursor=x"
    server.answers = [Answer([], headers={"Link": f'<{url}>; rel="next"'})]
    with pytest.raises(HubError, match="itself"):
        fetch(hub, url)


def test_expired_cursor_is_told_apart(server: Server, hub: Hub) -> None:
    server.answers = [Answer({"error": "Invalid cursor"}, status=400)]
    with pytest.raises(CursorExpiredError, match="Invalid cursor"):
        fetch(hub, f"{server.url}/api/models?limit=2&cursor=x")
    with pytest.raises(HubError, match="400") as caught:
        listing(hub)
    assert not isinstance(caught.value, CursorExpiredError)


@pytest.mark.parametrize("ask", [listing, lambda hub: hub.lookup("acme/a")])
def test_refused_token_is_named(server: Server, hub: Hub, ask: Callable[[Hub], object]) -> None:
    message = {"x-error-message": "Invalid credentials in Authorization header"}
    server.answers = [Answer(status=401, headers=message)]
    with pytest.raises(HubError, match="HF_TOKEN"):
        ask(hub)


def test_lookup_finds_a_model(server: Server, hub: Hub) -> None:
    server.answers = [Answer(RECORDS[0])]
    assert hub.lookup("acme/a") == Lookup("listed", "acme/a", RECORDS[0])
    parts = urlsplit(server.requests[0][0])
    assert parts.path == "/api/models/acme/a"
    assert "cardData" in parse_qs(parts.query)["expand"]


def test_lookup_follows_a_rename(server: Server, hub: Hub) -> None:
    server.answers = [
        Answer(status=307, headers={"Location": "/api/models/new/a?expand=sha"}),
        Answer({"id": "new/a"}),
    ]
    assert hub.lookup("acme/a") == Lookup("listed", "new/a", {"id": "new/a"})


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(status=404, headers={"x-error-code": "RepoNotFound"}), "gone"),
        (Answer(status=401), "gone"),
        (Answer(status=403, headers={"x-error-message": "Forbidden"}), "gone"),
        (Answer(status=400), "gone"),
        (
            Answer(status=403, headers={"x-error-message": "Access to this resource is disabled."}),
            "disabled",
        ),
        (Answer(status=451), "disabled"),
        (Answer(status=403, headers={"x-error-code": "GatedRepo"}), "listed"),
    ],
)
def test_lookup_tells_states_apart(server: Server, hub: Hub, answer: Answer, state: str) -> None:
    server.answers = [answer]
    assert hub.lookup("acme/a") == Lookup(state, "acme/a")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a b", "../../etc", "acme/..", "a/b/c", "acme/a?x=1"])
def test_lookup_of_what_is_no_name_asks_nobody(server: Server, hub: Hub, name: str) -> None:
    assert hub.lookup(name) == Lookup("gone", name)
    assert server.requests == []


@pytest.mark.parametrize("body", [b"", b"3", b"[]", b'{"id": "a/b"}, {}', b"<html>"])
def test_lookup_refuses_what_is_no_record(server: Server, hub: Hub, body: bytes) -> None:
    server.answers = [Answer(body)]
    with pytest.raises(HubError, match="acme/a"):
        hub.lookup("acme/a")
    assert len(server.requests) == 4


def test_lookup_waits_out_an_outage(server: Server, hub: Hub) -> None:
    server.answers = [Answer(status=503), Answer(RECORDS[0])]
    assert hub.lookup("acme/a").state == "listed"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_endpoint_and_token_come_from_the_environment(server: Server) -> None:
    server.answers = [Answer(status=500), Answer(RECORDS)]
    code = (
        "from registry.hub.decode import decode_page\n"
        "from registry.hub.client import Hub, ListingQuery\n"
        "hub = Hub(first_wait=0.01)\n"
        "print(len(hub.fetch(hub.first_url(ListingQuery()), lambda page: decode_page(page.body))))"
    )
    done = run(code, HF_ENDPOINT=f"{server.url}/", HF_TOKEN="hf_mine")
    assert len(server.requests) == 2
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
    assert done.stderr == ""
    assert server.requests[0][1]["authorization"] == "Bearer hf_mine"


def test_offline_mode_is_named(server: Server) -> None:
    code = "from registry.hub.client import Hub\nHub().lookup('acme/a')"
    done = run(code, HF_ENDPOINT=server.url, HF_HUB_OFFLINE="1")
    assert "HubError: HF_HUB_OFFLINE is set" in done.stderr
    assert server.requests == []


def test_waiting_can_be_interrupted(server: Server) -> None:
    server.answers = [Answer(status=503, headers={"Retry-After": "60"})]
    code = (
        "import _thread\n"
        "from registry.hub.client import Hub\n"
        "Hub(token=False, on_wait=lambda wait: _thread.interrupt_main()).lookup('acme/a')"
    )
    done = run(code, HF_ENDPOINT=server.url)
    assert "KeyboardInterrupt" in done.stderr
