"""Files in repositories of the Hub: addresses, revisions and folders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

import msgspec
import orjson
from huggingface_hub import parse_hf_uri
from huggingface_hub.errors import HfUriError

from registry.bounded import limits
from registry.errors import HubError, UsageError
from registry.hub.client import Hub, HubReply, origin, reply_error


class RepositoryAddress(NamedTuple):
    """An address below a repository: its kind (dataset, model or space), name, revision, path."""

    kind: str
    name: str
    revision: str | None
    path: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository at one commit, under its present name."""

    kind: str
    name: str
    commit: str

    @property
    def prefix(self) -> str:
        """The repository as in addresses after `hf://`."""
        return self.name if self.kind == "model" else f"{self.kind}s/{self.name}"


class _Lfs(msgspec.Struct):
    oid: str
    size: int


class RepositoryEntry(msgspec.Struct):
    """A file or folder: `oid` is its git hash, `lfs.oid` the SHA-256 of a large file's content."""

    type: str
    path: str
    oid: str = ""
    size: int = 0
    lfs: _Lfs | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is a file."""
        return self.type == "file"

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the content, where it is stored as a large file."""
        return None if self.lfs is None else self.lfs.oid.removeprefix("sha256:")


_ENTRIES = msgspec.json.Decoder(list[RepositoryEntry])


def parse_address(address: str, endpoint: str) -> RepositoryAddress | None:
    """Parse an address of the Hub: `hf://...`, or one that a browser shows on the endpoint.

    Returns:
        None where it is no address of the Hub.

    Raises:
        UsageError: when it is one, but of no repository.
    """
    if not address.startswith("hf://") and origin(address) != origin(endpoint):
        return None
    try:
        parsed = parse_hf_uri(address, endpoint)
    except HfUriError as error:
        raise UsageError(
            f"{address} is no address of a repository; write hf://datasets/ORG/NAME/PATH, or "
            "hf://datasets/ORG/NAME@REVISION/PATH."
        ) from error
    if parsed.type not in {"dataset", "model", "space"}:
        raise UsageError(f"{address} is a {parsed.type}, which has no revisions; name a data set.")
    return RepositoryAddress(parsed.type, parsed.id, parsed.revision, parsed.path_in_repo)


def snapshot(hub: Hub, address: RepositoryAddress) -> Snapshot:
    """Ask for the commit of a revision, by default of the newest on the main branch.

    Raises:
        HubError: when there is no such repository or revision, or the token may not see it.
        HubUnavailableError: when the Hub stays out of reach.
    """
    revision = quote(address.revision or "main", safe="")
    url = f"{hub.endpoint}/api/{address.kind}s/{quote(address.name)}/revision/{revision}"

    def read(reply: HubReply) -> Snapshot:
        _require_success(hub, address, reply)
        try:
            content = orjson.loads(reply.body)
            return Snapshot(address.kind, str(content["id"]), str(content["sha"]))
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise _unreadable(reply) from error

    return hub.ask(url, read)


def entry(hub: Hub, repository: Snapshot, path: str) -> RepositoryEntry | None:
    """Ask what lies at a path; None where there is nothing.

    Raises as `snapshot` does.
    """
    url = f"{_api(hub, repository)}/paths-info/{repository.commit}"

    def read(reply: HubReply) -> Sequence[RepositoryEntry]:
        return _entries(hub, repository, reply)

    return next((each for each in hub.ask(url, read, form={"paths": [path]})), None)


def entries(
    hub: Hub, repository: Snapshot, folder: str, *, recursive: bool
) -> Iterator[RepositoryEntry]:
    """Yield what is in a folder, and below it where `recursive`.

    Raises as `snapshot` does.
    """
    below = f"/{quote(folder)}" if folder else ""
    url: str | None = (
        f"{_api(hub, repository)}/tree/{repository.commit}{below}"
        f"?recursive={str(recursive).lower()}&expand=false"
    )

    def read(reply: HubReply) -> tuple[Sequence[RepositoryEntry], str | None]:
        return _entries(hub, repository, reply), reply.next_link

    pages, empty = limits.PAGES, 0
    while url is not None:
        page, following = hub.ask(url, read)
        yield from page
        if following == url:
            raise HubError(f"The page {url} names itself as the next one.")
        pages, empty = pages - 1, 0 if page else empty + 1
        if empty >= limits.EMPTY_PAGES or not pages:
            raise HubError(
                f"The Hub's list of the files of {repository.name} does not end; try again later."
            )
        url = following


def content_url(hub: Hub, repository: Snapshot, path: str) -> str:
    """Return the address of a file's content, which may redirect to another host."""
    return f"{hub.endpoint}/{repository.prefix}/resolve/{repository.commit}/{quote(path)}"


def content_error(hub: Hub, repository: Snapshot, path: str, reply: HubReply) -> HubError:
    """Return the error of a reply in place of a file's content."""
    address = RepositoryAddress(repository.kind, repository.name, repository.commit, path)
    return _error(hub, address, reply)


def _api(hub: Hub, repository: Snapshot) -> str:
    return f"{hub.endpoint}/api/{repository.kind}s/{quote(repository.name)}"


def _entries(hub: Hub, repository: Snapshot, reply: HubReply) -> Sequence[RepositoryEntry]:
    address = RepositoryAddress(repository.kind, repository.name, repository.commit, "")
    _require_success(hub, address, reply)
    try:
        return _ENTRIES.decode(reply.body)
    except msgspec.DecodeError as error:
        raise _unreadable(reply) from error


def _unreadable(reply: HubReply) -> HubError:
    start = reply.body[:80].decode(errors="replace")
    return HubError(
        f"{reply.url} answered with something other than the Hub's list of files (it begins "
        f"{start!r}); check HF_ENDPOINT."
    )


def _require_success(hub: Hub, address: RepositoryAddress, reply: HubReply) -> None:
    if reply.status != 200:  # noqa: PLR2004
        raise _error(hub, address, reply)


def _error(hub: Hub, address: RepositoryAddress, reply: HubReply) -> HubError:
    """Return what a rejection means: the Hub says it in headers."""
    what = f"{'data set' if address.kind == 'dataset' else address.kind} {address.name}"
    page = f"{hub.endpoint}/{'' if address.kind == 'model' else f'{address.kind}s/'}{address.name}"
    code, message = reply.headers.get("x-error-code"), reply.headers.get("x-error-message", "")
    login = "set HF_TOKEN, or log in with `hf auth login`"
    if message.startswith("Invalid credentials"):
        return HubError(
            f"{hub.endpoint} rejects the access token; check HF_TOKEN, or log in again with "
            "`hf auth login`."
        )
    match code:
        case "GatedRepo":
            return HubError(f"The {what} is gated: ask for access at {page}, and {login}.")
        case "RevisionNotFound":
            return HubError(f"The {what} has no revision {address.revision or 'main'!r}.")
        case "EntryNotFound":
            return HubError(f"The {what} has no file {address.path or '/'} at {address.revision}.")
        case "RepoNotFound":
            return HubError(f"There is no {what} on {hub.endpoint}; if it is private, {login}.")
    if reply.status in (401, 403):
        return HubError(f"The {what} may not be read without permission: {login}.")
    return reply_error(reply)
