"""Servers of files on loopback: repositories of a Hub, another host for large files, a plain web.

They keep a log of what they sent, and can break a connection at chosen bytes.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote

import orjson

from registry.demo.hub.http import Exchange, Loopback, Reply, Request

LARGE = 2000
"""Bytes from which a file is stored on the other host."""

TOKEN = "hf_reader"


@dataclass
class Sent:
    """One reply with content: the path, the bytes of the file that were sent, and whether all."""

    path: str
    start: int
    stop: int
    whole: bool


class FileServer:
    """Serves replies that a function makes, and sends parts of files as they are asked for.

    `breaks` are positions in files at which a connection breaks, each once; `held` is called before
    it does.
    """

    ranges = True

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.sent: list[Sent] = []
        self.breaks: list[int] = []
        self.held: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._loopback: Loopback | None = None

    def __enter__(self) -> Self:
        self._loopback = Loopback(self._answer, 0)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loopback is not None
        self._loopback.close()

    @property
    def url(self) -> str:
        assert self._loopback is not None
        return self._loopback.url

    def reply(self, request: Request) -> Reply:
        raise NotImplementedError

    def _answer(self, request: Request) -> tuple[Reply, Callable[[Exchange], None] | None]:
        with self._lock:
            self.requests.append(request)
        return self.reply(request), None

    def content(self, request: Request, body: bytes, **headers: str) -> Reply:
        """Return the part of a file that is asked for."""
        ranged = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        start, stop, status = 0, len(body), 200
        if ranged and self.ranges:
            start = int(ranged[1])
            stop = min(int(ranged[2]) + 1 if ranged[2] else len(body), len(body))
            if start >= len(body):
                return Reply(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            status = 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
        headers.setdefault("Content-Type", "application/octet-stream")
        return Reply(status, body[start:stop], {k.replace("_", "-"): v for k, v in headers.items()})

    def log(self, sent: Sent) -> None:
        with self._lock:
            self.sent.append(sent)

    def break_in(self, start: int, stop: int) -> int | None:
        """Take the next position at which to break, if it is in this part."""
        with self._lock:
            due = next((each for each in self.breaks if start <= each < stop), None)
            if due is not None:
                self.breaks.remove(due)
        return due


class ContentServer(FileServer):
    """A server whose replies with content are logged, and break where they should.

    If `unsized`, it sends them without their length.
    """

    unsized = False

    def _answer(self, request: Request) -> tuple[Reply, Callable[[Exchange], None] | None]:
        reply, _ = super()._answer(request)
        if reply.status not in (200, 206) or request.method != "GET" or not self.logged(request):
            return reply, None
        stated = reply.headers.get("Content-Range", "bytes 0-")
        start = int(stated.removeprefix("bytes ").partition("-")[0])
        assert isinstance(reply.body, bytes)
        body = reply.body

        def send(exchange: Exchange) -> None:
            if self.unsized:
                head = reply.head().replace(b"Content-Length", b"X-Length")
                exchange.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                exchange.write(body)
                exchange.hang_up()
                return
            due = self.break_in(start, start + len(body))
            if due is None:
                self.log(Sent(request.path, start, start + len(body), whole=True))
                exchange.send()
                return
            exchange.write(reply.head())
            exchange.write(body[: due - start])
            self.log(Sent(request.path, start, due, whole=False))
            self.held()
            exchange.reset()

        return reply, send

    def logged(self, request: Request) -> bool:  # noqa: ARG002 - others look at it
        return True


class LargeFiles(ContentServer):
    """The other host, which a Hub redirects to for large files: by SHA-256."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}

    def reply(self, request: Request) -> Reply:
        body = self.files.get(request.path.removeprefix("/"))
        if body is None:
            return Reply(404, b"")
        return self.content(request, body, ETag=f'"{request.path[1:33]}"')


@dataclass
class Repository:
    """A repository: its commits, the newest last, and who may read it."""

    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    private: bool = False
    gated: bool = False

    def commit(self, files: Mapping[str, bytes]) -> str:
        """Add a commit with these files; return its name."""
        name = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits.append((name, dict(files)))
        return name


class RepositoryHub(ContentServer):
    """A Hub of data sets: revisions, trees, content; large files are on another host."""

    page = 3

    def __init__(self, large: LargeFiles) -> None:
        super().__init__()
        self.large = large
        self.repositories: dict[str, Repository] = {}
        self.moved: dict[str, str] = {}

    def put(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        private: bool = False,
        gated: bool = False,
    ) -> str:
        """Add a commit to a repository, which is made where there is none."""
        new = Repository(private=private, gated=gated)
        repository = self.repositories.setdefault(name, new)
        return repository.commit(files)

    def logged(self, request: Request) -> bool:
        return "/resolve/" in request.path

    def reply(self, request: Request) -> Reply:
        if request.token not in (None, TOKEN):
            return _error(401, None, "Invalid credentials in Authorization header")
        matched = re.fullmatch(
            r"(?P<api>/api)?/datasets/(?P<name>[^/]+/[^/]+)"
            r"/(?P<verb>revision|tree|paths-info|resolve)/(?P<rest>.*)",
            request.path,
        ) or re.fullmatch(r"(?P<api>/api)/datasets/(?P<name>[^/]+/[^/]+)(?P<verb>)(?P<rest>)",
                          request.path)  # fmt: skip
        if matched is None:
            return _error(404, None, "Sorry, we can't find the page you are looking for.")
        name, verb, rest = matched["name"], matched["verb"], matched["rest"]
        if name in self.moved:
            target = request.path.replace(name, self.moved[name], 1)
            return Reply(307, b"", {"Location": quote(target)})
        repository = self.repositories.get(name)
        if repository is None or (repository.private and request.token != TOKEN):
            return _error(401 if request.token is None else 404, "RepoNotFound", "Not found")
        revision, _, path = rest.partition("/")
        commits = dict(repository.commits)
        commit = repository.commits[-1][0] if revision in ("main", "") else revision
        if commit not in commits:
            return _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        files = commits[commit]
        if verb in ("revision", ""):
            return _json({"id": name, "sha": commit, "gated": repository.gated, "private": False})
        if verb == "paths-info":
            paths = request.form.get("paths", [])
            listed = [each for each in _tree(files, "", recursive=True) if each["path"] in paths]
            return _json(listed)
        if verb == "tree":
            return self._tree_page(request, files, path)
        if repository.gated and request.token != TOKEN:
            return _error(401 if request.token is None else 403, "GatedRepo",
                          f"Access to dataset {name} is restricted.")  # fmt: skip
        return self._file(request, files, path, commit)

    def _tree_page(self, request: Request, files: Mapping[str, bytes], path: str) -> Reply:
        recursive = request.query.get("recursive", ["false"])[0].lower() == "true"
        entries = _tree(files, path, recursive=recursive)
        if path and not entries:
            return _error(404, "EntryNotFound", f"{path} does not exist")
        start = int(request.query.get("cursor", ["0"])[0])
        headers = {}
        if start + self.page < len(entries):
            following = f"{self.url}{quote(request.path)}?recursive={str(recursive).lower()}"
            headers["Link"] = f'<{following}&cursor={start + self.page}>; rel="next"'
        return _json(entries[start : start + self.page], headers)

    def _file(self, request: Request, files: Mapping[str, bytes], path: str, commit: str) -> Reply:
        body = files.get(path)
        if body is None:
            return _error(404, "EntryNotFound", f"{path} does not exist")
        common = {"X_Repo_Commit": commit, "Accept_Ranges": "bytes"}
        if len(body) < LARGE:
            return self.content(request, body, ETag=f'"{git_hash(body)}"', **common)
        sha256 = hashlib.sha256(body).hexdigest()
        self.large.files[sha256] = body
        headers = {
            "Location": f"{self.large.url}/{sha256}",
            "X-Linked-Size": str(len(body)),
            "X-Linked-ETag": f'"{sha256}"',
            "X-Repo-Commit": commit,
        }
        return Reply(302, b"", headers)


class Web(ContentServer):
    """A plain web server: `files` by path, with a version; other replies by `fixed`."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.fixed: dict[str, Callable[[Request], Reply]] = {}
        self.validators = True

    def reply(self, request: Request) -> Reply:
        if request.path in self.fixed:
            return self.fixed[request.path](request)
        body = self.files.get(request.path)
        if body is None:
            return Reply(404, b"not here", {"Content-Type": "text/plain"})
        tags = {"ETag": f'"{git_hash(body)}"'} if self.validators else {}
        return self.content(request, body, **tags)


@contextmanager
def hub() -> Iterator[RepositoryHub]:
    """Serve an empty Hub of data sets."""
    with LargeFiles() as large, RepositoryHub(large) as server:
        yield server


def git_hash(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def _tree(files: Mapping[str, bytes], path: str, *, recursive: bool) -> list[dict[str, object]]:
    prefix = f"{path}/" if path else ""
    entries: dict[str, dict[str, object]] = {}
    for name, body in sorted(files.items()):
        if not name.startswith(prefix):
            continue
        parts = name.removeprefix(prefix).split("/")
        for depth in range(1, len(parts)):
            folder = prefix + "/".join(parts[:depth])
            if recursive or depth == 1:
                oid = hashlib.sha1(folder.encode()).hexdigest()
                entries[folder] = {"type": "directory", "oid": oid, "size": 0, "path": folder}
        if recursive or len(parts) == 1:
            entries[name] = _entry(name, body)
    return list(entries.values())


def _entry(name: str, body: bytes) -> dict[str, object]:
    entry: dict[str, object] = {
        "type": "file", "oid": git_hash(body), "size": len(body), "path": name,
    }  # fmt: skip
    if len(body) >= LARGE:
        sha256 = hashlib.sha256(body).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\n".encode()
        entry["oid"] = git_hash(pointer)
        entry["lfs"] = {"oid": sha256, "size": len(body), "pointerSize": len(pointer)}
    return entry


def _json(content: object, headers: Mapping[str, str] | None = None) -> Reply:
    common = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Reply(200, orjson.dumps(content), common)


def _error(status: int, code: str | None, message: str) -> Reply:
    headers = {"Content-Type": "application/json", "X-Error-Message": message}
    if code is not None:
        headers["X-Error-Code"] = code
    return Reply(status, orjson.dumps({"error": message}), headers)


def sent_again(sent: list[Sent]) -> tuple[int, int]:
    """Return how many bytes of a file were sent again: of blocks that arrived, and of others."""
    arrived = under_way = 0
    for place, each in enumerate(sent):
        for earlier in sent[:place]:
            overlap = max(0, min(each.stop, earlier.stop) - max(each.start, earlier.start))
            if earlier.whole:
                arrived += overlap
            else:
                under_way += overlap
    return arrived, under_way


class Buckets(ContentServer):
    """A store that speaks as much of S3's protocol as a reader needs; `files` by bucket/key."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}

    def logged(self, request: Request) -> bool:
        return "list-type" not in request.query

    def reply(self, request: Request) -> Reply:
        if "authorization" not in request.headers:
            return _s3_error(403, "AccessDenied")
        name = request.path.strip("/")
        bucket, _, key = name.partition("/")
        if not any(each.startswith(f"{bucket}/") for each in self.files):
            return _s3_error(404, "NoSuchBucket")
        if not key:
            return self._listing(request, bucket)
        body = self.files.get(name)
        if body is None:
            return _s3_error(404, "NoSuchKey")
        return self.content(request, body, ETag=f'"{git_hash(body)}"', Last_Modified=_LAST)

    def _listing(self, request: Request, bucket: str) -> Reply:
        prefix = request.query.get("prefix", [""])[0]
        delimiter = request.query.get("delimiter", [""])[0]
        keys, folders = [], set()
        for name, body in sorted(self.files.items()):
            key = name.removeprefix(f"{bucket}/")
            if key == name or not key.startswith(prefix):
                continue
            inside, found, _ = key.removeprefix(prefix).partition(delimiter or "\0")
            if found:
                folders.add(f"{prefix}{inside}/")
                continue
            keys.append(
                f"<Contents><Key>{key}</Key><Size>{len(body)}</Size>"
                f"<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                f'<ETag>"{git_hash(body)}"</ETag></Contents>'
            )
        common = [
            f"<CommonPrefixes><Prefix>{each}</Prefix></CommonPrefixes>" for each in sorted(folders)
        ]
        text = (
            f"<ListBucketResult><Name>{bucket}</Name><IsTruncated>false</IsTruncated>"
            f"<KeyCount>{len(keys)}</KeyCount>{''.join(keys + common)}</ListBucketResult>"
        )
        return Reply(200, text.encode(), {"Content-Type": "application/xml"})


_LAST = "Thu, 01 Jan 2026 00:00:00 GMT"


def _s3_error(status: int, code: str) -> Reply:
    text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return Reply(status, text.encode(), {"Content-Type": "application/xml"})
