"""Logs of Inspect: their documented members, in a zip archive (.eval) or in one JSON document.

Structs hold what is read of <https://inspect.aisi.org.uk/reference/inspect_ai.log.html>; other keys
are left undecoded, as events of a sample take most of a log.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import msgspec
import pyarrow as pa

from registry.bounded import limits
from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files

HEADER = "header.json"
_JOURNAL = "_journal/start.json"  # of an evaluation that did not finish
_REDUCTIONS = "reductions.json"
_ZSTD = 93  # compression of members, which zipfile knows from Python 3.14 on
_LOCAL_HEADER = 30  # bytes before a member's name and extra field
_DAMAGED = (BadZipFile, EOFError, OSError, ValueError, RuntimeError, zlib.error)


class Dataset(msgspec.Struct):
    """Data set of an evaluation."""

    name: str | None = None
    location: str | None = None
    samples: int | None = None


class Task(msgspec.Struct):
    """Key `eval` of a log: what was evaluated, and how."""

    task: str
    model: str
    created: str | None = None
    task_version: int | str = 0
    task_args_passed: dict[str, Any] | None = None
    task_args: dict[str, Any] | None = None
    solver: str | None = None
    dataset: Dataset = msgspec.field(default_factory=Dataset)
    model_args: dict[str, Any] = {}
    model_roles: dict[str, Any] | None = None
    model_generate_config: dict[str, Any] = {}
    config: dict[str, Any] = {}
    packages: dict[str, str] = {}


class SolverStep(msgspec.Struct):
    """A solver of the plan."""

    solver: str
    params: dict[str, Any] = {}


class Plan(msgspec.Struct):
    """Solvers, and the configuration of generation."""

    steps: list[SolverStep] = []
    config: dict[str, Any] = {}


class MetricValue(msgspec.Struct):
    """A metric of a scorer."""

    value: int | float | None = None


class ScorerResults(msgspec.Struct):
    """Metrics of a scorer, over samples whose epochs a reducer made one."""

    name: str
    scorer: str | None = None
    reducer: str | None = None
    scored_samples: int | None = None
    metrics: dict[str, MetricValue] = {}


class Results(msgspec.Struct):
    """Results of an evaluation; version 1 has one scorer."""

    scores: list[ScorerResults] = []
    scorer: ScorerResults | None = None
    metrics: dict[str, MetricValue] = {}
    total_samples: int = 0
    completed_samples: int = 0
    sample_reductions: "list[Reduction] | None" = None


class SampleScore(msgspec.Struct):
    """Score of a sample: a number, a letter, or several by name."""

    value: Any = None
    answer: Any = None
    sample_id: int | str | None = None


class Reduction(msgspec.Struct):
    """Scores of all samples by one scorer, each over its epochs."""

    scorer: str
    reducer: str | None = None
    samples: list[SampleScore] = []


class EpochSample(msgspec.Struct):
    """A sample in an epoch. Version 1 has one score."""

    id: int | str
    epoch: int = 1
    input: Any = None
    choices: list[str] | None = None
    target: Any = None
    scores: dict[str, SampleScore] | None = None
    score: SampleScore | None = None
    metadata: dict[str, Any] | None = None
    output: dict[str, Any] = {}
    model_usage: dict[str, dict[str, Any]] = {}
    working_time: float | None = None
    total_time: float | None = None
    error: Any = None
    invalidation: Any = None


class Header(msgspec.Struct):
    """A log without its samples."""

    status: str
    eval: Task
    version: int = 2
    plan: Plan = msgspec.field(default_factory=Plan)
    results: Results | None = None
    invalidated: bool = False
    reductions: list[Reduction] | None = None


class Document(Header):
    """A log in one JSON document."""

    samples: list[EpochSample] | None = None


class InspectLog:
    """A log in either form."""

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises:
            UnreadableFileError: it is not a log of an evaluation that finished.
        """
        self.path = path
        self._samples: list[EpochSample] | None = None
        if path.suffix == ".eval":
            with self._archive() as archive:
                names = archive.namelist()
                if HEADER not in names:
                    problem = "there is no such member: it is not a log of Inspect."
                    if _JOURNAL in names:
                        problem = "the evaluation did not finish. Run it, or `inspect log recover`."
                    raise UnreadableFileError(path, problem, field=HEADER)
                self.header = json_files.typed(
                    self._member(archive, HEADER), Header, path, part=HEADER
                )
        else:
            document = json_files.typed(json_files.raw(path), Document, path)
            self.header, self._samples = document, document.samples or []

    def reductions(self) -> list[Reduction]:
        """Return the scores of samples over their epochs."""
        results = self.header.results
        stated = self.header.reductions or (results.sample_reductions if results else None)
        if stated is not None or self._samples is not None:
            return stated or []
        with self._archive() as archive:
            if _REDUCTIONS not in archive.namelist():
                return []
            content = self._member(archive, _REDUCTIONS)
        return json_files.typed(content, list[Reduction], self.path, part=_REDUCTIONS)

    def samples(self) -> Iterator[EpochSample]:
        """Yield the samples, one at a time decoded.

        Raises:
            UnreadableFileError: a sample is invalid.
        """
        if self._samples is not None:
            yield from self._samples
            return
        with self._archive() as archive:
            for name in dict.fromkeys(archive.namelist()):
                if name.startswith("samples/") and name.endswith(".json"):
                    content = self._member(archive, name)
                    yield json_files.typed(content, EpochSample, self.path, part=name)

    @contextmanager
    def _archive(self) -> Iterator[ZipFile]:
        try:
            with ZipFile(self.path) as archive:
                yield archive
        except (BadZipFile, EOFError, ValueError, NotImplementedError) as error:
            problem = f"it is not a whole zip archive ({error}). Fetch it again."
            raise UnreadableFileError(self.path, problem) from error

    def _member(self, archive: ZipFile, name: str) -> bytes:
        info = archive.getinfo(name)
        if info.file_size > limits.DOCUMENT:
            problem = f"it has {info.file_size:,} bytes, more than {limits.DOCUMENT:,}."
            raise UnreadableFileError(self.path, problem, field=name)
        if info.file_size > max(limits.EXPANDED, limits.EXPANSION * info.compress_size):
            problem = f"it unpacks to more than {limits.EXPANSION} times its size. Fetch it again."
            raise UnreadableFileError(self.path, problem, field=name)
        try:
            if info.compress_type in (ZIP_STORED, ZIP_DEFLATED):
                return archive.read(info)
            if info.compress_type == _ZSTD:
                return self._zstd(info)
        except (*_DAMAGED, pa.ArrowException) as error:
            problem = f"it cannot be read ({error}). Fetch the log again."
            raise UnreadableFileError(self.path, problem, field=name) from error
        problem = f"its compression {info.compress_type} is none that can be read."
        raise UnreadableFileError(self.path, problem, field=name)

    def _zstd(self, info: ZipInfo) -> bytes:
        """Return a member that is compressed by zstd."""
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            header = file.read(_LOCAL_HEADER)
            lengths = header[26:28], header[28:30]  # of its name and its extra field
            file.seek(sum(int.from_bytes(each, "little") for each in lengths), 1)
            packed = pa.BufferReader(file.read(info.compress_size))
        with pa.CompressedInputStream(packed, "zstd") as stream:
            content: bytes = stream.read(info.file_size)
            whole = len(content) == info.file_size and not stream.read(1)
        if not whole or zlib.crc32(content) != info.CRC:
            raise BadZipFile("its checksum is another one")
        return content
