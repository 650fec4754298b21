"""Files in buckets of S3 and of stores that speak its protocol, through fsspec."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from registry.errors import RemoteError, RemoteUnavailableError, UsageError
from registry.evaluations.remote import patterns
from registry.evaluations.remote.files import RemoteFile, RemoteFiles, may_hold_results, place

BLOCK = 16 * 2**20
"""Bytes requested at once."""

_ATTEMPTS = 5


def find(address: str) -> RemoteFiles:
    """Return the files of an address: one, those in a folder, or those that fit a pattern.

    Raises:
        UsageError: when there is none, or s3fs is not installed.
        RemoteError: when the bucket may not be read.
    """
    store = _store()
    path = address.removeprefix("s3://").strip("/")
    try:
        if patterns.is_pattern(path):
            found, by_name = store.glob(path, detail=True), False
        else:
            found = store.find(path, detail=True)
            by_name = list(found) == [path]
            if not by_name:
                found = {
                    name: info
                    for name, info in found.items()
                    if may_hold_results(name, in_cards=True)
                }
    except Exception as error:
        if not _is_of_store(error):
            raise
        raise _error(address, error) from error
    files = [_file(store, name, info) for name, info in sorted(found.items()) if _is_file(info)]
    if not files:
        raise UsageError(f"No file fits {address}.")
    folder = files[0].place.parent if by_name else place("s3", patterns.fixed_folder(f"{path}/x"))
    return RemoteFiles(files, by_name, folder)


def _store() -> Any:
    try:
        import s3fs  # noqa: PLC0415 - optional
    except ImportError as error:
        raise UsageError(
            "Reading s3:// needs the package s3fs: pip install 'llm-registry[s3]'."
        ) from error
    return s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)


def _is_file(info: dict[str, Any]) -> bool:
    return info.get("type") == "file"


def _version(info: dict[str, Any]) -> str:
    return f"{str(info.get('ETag', '')).strip(chr(34))} {info.get('LastModified', '')}".strip()


def _file(store: Any, name: str, info: dict[str, Any]) -> RemoteFile:
    version = _version(info)
    return RemoteFile(
        address=f"s3://{name}",
        place=place("s3", name),
        content=f"s3 {name} {version} {info['size']}",
        read=partial(_content, store, name, info["size"], version),
        size=info["size"],
        revision=version,
    )


def _content(store: Any, name: str, size: int, version: str, start: int) -> Iterator[bytes]:
    while start < size:
        block = _block(store, name, start, min(start + BLOCK, size))
        start += len(block)
        yield block
    if _version(store.info(name, refresh=True)) != version:
        raise RemoteError(
            f"s3://{name} changed while it was read; nothing of it is imported. Import it again."
        )


def _block(store: Any, name: str, start: int, end: int) -> bytes:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            block: bytes = store.cat_file(name, start=start, end=end)
        except (PermissionError, FileNotFoundError) as error:
            raise _error(f"s3://{name}", error) from error
        except Exception as error:
            if not _is_of_store(error):
                raise
            if attempt == _ATTEMPTS:
                raise RemoteUnavailableError(
                    f"s3://{name} cannot be read now ({error}). What has arrived is kept: the same "
                    "command continues there."
                ) from error
            time.sleep(2**attempt / 4)
        else:
            if block:
                return block
    raise RemoteError(f"s3://{name} changed while it was read; import it again.")


def _is_of_store(error: Exception) -> bool:
    """Return whether reading failed; classes of the client cannot be named where it is absent."""
    modules = {"aiobotocore", "aiohttp", "botocore"}
    return isinstance(error, OSError) or any(
        each.__module__.partition(".")[0] in modules for each in type(error).mro()
    )


def _error(address: str, error: Exception) -> RemoteError:
    if isinstance(error, FileNotFoundError):
        return RemoteError(f"There is no file or bucket at {address}.")
    return RemoteError(
        f"{address} cannot be read ({error}). Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
        "for a public bucket set FSSPEC_S3_ANON=true."
    )
