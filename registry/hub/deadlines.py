"""Deadlines of replies: a server that sends its headers byte by byte keeps nobody waiting."""

from contextlib import AbstractContextManager, suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # public, untyped as such

_T = TypeVar("_T")


class Opened(Generic[_T]):
    """A reply whose headers arrive within a time, as a context.

    The client's own limit is of the time between two bytes. Here a thread waits for the headers,
    and is left alone once time is up: it ends when the server does.
    """

    def __init__(self, reply: AbstractContextManager[_T], seconds: float) -> None:
        """Send nothing yet.

        Args:
            reply: sends the request when it is entered.
            seconds: that it may take until the headers are here.
        """
        self._reply, self._seconds = reply, seconds
        self._lock, self._abandoned = Lock(), False
        self._results: SimpleQueue[tuple[_T | None, BaseException | None]] = SimpleQueue()

    def __enter__(self) -> _T:
        """Wait for the headers.

        Raises:
            httpx.ReadTimeout: when they are not here in time.
        """
        Thread(target=self._enter, daemon=True).start()
        try:
            entered, error = self._results.get(timeout=self._seconds)
        except BaseException as reason:
            with self._lock:
                self._abandoned = True
            self._leave_late()
            if isinstance(reason, Empty):
                raise httpx.ReadTimeout(f"no headers after {self._seconds:.0f} s") from None
            raise
        if error is not None:
            raise error
        return entered  # type: ignore[return-value] # what was entered

    def __exit__(self, *problem: object) -> None:
        self._reply.__exit__(*problem)  # type: ignore[arg-type] # as it was passed

    def _leave_late(self) -> None:
        """Leave a reply whose headers came just when time was up."""
        with suppress(Empty):
            _, error = self._results.get_nowait()
            if error is None:
                self._reply.__exit__(None, None, None)

    def _enter(self) -> None:
        try:
            entered = self._reply.__enter__()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._results.put((None, error))
            return
        with self._lock:
            late = self._abandoned
            if not late:
                self._results.put((entered, None))
        if late:
            self._reply.__exit__(None, None, None)
