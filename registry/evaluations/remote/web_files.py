"""Files at addresses of the web, each by itself: a server has no list of them."""

import hashlib
from collections.abc import Iterator
from functools import partial
from urllib.parse import unquote, urlsplit

from registry.errors import UsageError
from registry.evaluations.remote.files import RemoteFile, RemoteFiles, place, without_signature
from registry.hub.transfer import Head, HttpFile


def find(address: str, *, patience: float = 60.0) -> RemoteFiles:
    """Return the file at an address.

    Raises:
        UsageError: when the address cannot name a file.
        RemoteError: when there is none.
    """
    parts = urlsplit(address)
    if "*" in parts.path:
        raise UsageError(f"{address} is a pattern, but the web has no folders: name each file.")
    if parts.username or parts.password:
        raise UsageError(
            "An address with a password in it is not read, as imports keep their addresses; "
            "download the file, and import it."
        )
    name = unquote(parts.path)
    if not parts.hostname or not name.strip("/") or name.endswith("/"):
        raise UsageError(f"{address} names no file.")
    stated = without_signature(address)
    query = urlsplit(stated).query
    # Two files that only differ in their query are not one.
    below = [f"query-{hashlib.sha256(query.encode()).hexdigest()[:8]}"] if query else []
    folder, _, last = name.rpartition("/")
    where = place(parts.scheme, parts.netloc, folder, *below, last)
    file = HttpFile(address, patience=patience)
    head = file.head()
    remote = RemoteFile(
        address=stated,
        place=where,
        content=None if head.version is None else f"{stated} {head.version} {head.size}",
        read=partial(_content, file, head),
        size=head.size,
        revision=head.version,
    )
    return RemoteFiles([remote], by_name=True, folder=where.parent)


def _content(file: HttpFile, head: Head, start: int) -> Iterator[bytes]:
    return file.chunks(start, head)
