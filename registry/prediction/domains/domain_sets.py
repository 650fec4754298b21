"""Sets of domains as data: read from YAML or CSV, or shipped; and the domain of an item."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from registry.errors import UsageError
from registry.evaluations.identity.shipped import name_key

LONGEST = 255
"""Characters of a name, at most."""

LARGEST_FILE = 10_000_000
"""Bytes of a file of sets, at most."""

MOST_DOMAINS = 1_000
"""Domains of a set, at most."""

DEFAULT = "modem"
"""The set that prompts are classified by unless another one is named."""


class Subject(NamedTuple):
    """Items of a domain: a subject of a benchmark, by canonical name.

    An empty benchmark is any; an empty subject is all items that no other row names.
    """

    benchmark: str
    subject: str

    @property
    def key(self) -> tuple[str, str]:
        """What subjects are compared by."""
        return name_key(self.benchmark), name_key(self.subject)


class StatedExpert(NamedTuple):
    """A model that a person states as the expert of a domain, for a size tier such as 8B."""

    domain: str
    tier: str
    model: str


@dataclass(frozen=True, slots=True)
class DomainSet:
    """Domains, and which items are of which.

    Attributes:
        name: of the set.
        domains: names, in their order.
        subjects: the domain of each subject.
        fallback: the domain of prompts that are of no other; None for none.
        description: for people to read.
        experts: stated ones; those of other domains and tiers are chosen by scores.
    """

    name: str
    domains: Sequence[str]
    subjects: Mapping[Subject, str]
    fallback: str | None = None
    description: str | None = None
    experts: Sequence[StatedExpert] = field(default_factory=tuple)

    @property
    def fallback_number(self) -> int | None:
        """Number of the fallback; None for none."""
        return None if self.fallback is None else list(self.domains).index(self.fallback)

    def places(self) -> "SubjectPlaces":
        """Return the domains of subjects, by what they are compared by."""
        numbers = {name: number for number, name in enumerate(self.domains)}
        return SubjectPlaces(
            {subject.key: numbers[domain] for subject, domain in self.subjects.items()}
        )


class SubjectPlaces(NamedTuple):
    """Numbers of domains by keys of benchmark and subject."""

    by_key: Mapping[tuple[str, str], int]

    def of(self, benchmark: str, subject: str | None) -> int | None:
        """Return the number of an item's domain; None where it is of none.

        A line that names the subject of the benchmark counts first, then one of the part of a
        benchmark that is stored as a benchmark (mmlu_anatomy), of the subject in any benchmark, and
        of the whole benchmark.
        """
        stored, named = name_key(benchmark), name_key(subject or "")
        if named and (stored, named) in self.by_key:
            return self.by_key[stored, named]
        for cut in range(len(stored) - 1, 0, -1):
            if stored[cut:] and (stored[:cut], stored[cut:]) in self.by_key:
                return self.by_key[stored[:cut], stored[cut:]]
        if named and ("", named) in self.by_key:
            return self.by_key["", named]
        return self.by_key.get((stored, ""))


@cache
def shipped_sets() -> Sequence[DomainSet]:
    """Return the sets that ship with the registry."""
    content = resources.files(__package__).joinpath("domain_sets.yaml").read_text("utf-8")
    return _of_yaml(content, "domain_sets.yaml")


def read_sets(path: Path, name: str | None = None) -> Sequence[DomainSet]:
    """Read sets from a file.

    Args:
        path: YAML of any number of sets, as docs/routing.md shows; or CSV of one, with the columns
            domain, benchmark and, as it likes, subject and fallback.
        name: of the only set; None: as the file has it, of CSV the file's name.

    Raises:
        UsageError: naming the file, and its line or field, with what to do.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f"{path}: more than {LARGEST_FILE:,} bytes are no set of domains.")
        content = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}.") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}.") from error
    if path.suffix.lower() == ".csv":
        return [_of_csv(content, str(path), name or path.stem)]
    sets = _of_yaml(content, str(path))
    if name is not None:
        if len(sets) != 1:
            raise UsageError(f"{path}: has {len(sets)} sets, so they cannot all be named {name!r}.")
        sets = [_named(sets[0], name, str(path))]
    return sets


def _named(of: DomainSet, name: str, where: str) -> DomainSet:
    return DomainSet(
        _text(name, where, "the name"), of.domains, of.subjects, of.fallback, of.description,
        of.experts,
    )  # fmt: skip


def _of_yaml(content: str, where: str) -> Sequence[DomainSet]:
    try:
        entries = yaml.load(content, _UniqueKeys)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "nested too deep"
        raise UsageError(f"{where}{line}: no YAML that can be read: {problem}.") from error
    if not isinstance(entries, dict) or not entries:
        raise UsageError(f"{where}: write a set as its name, and below it `domains:`.")
    return [_of_entry(_text(name, where, "a set"), entry, where) for name, entry in entries.items()]


class _UniqueKeys(yaml.SafeLoader):
    """Loader that refuses a key that is written twice, of which the first would be lost."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is written twice", key.start_mark
                )
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_FIELDS = {"description", "fallback", "domains", "experts"}


def _of_entry(name: str, entry: Any, file: str) -> DomainSet:
    where = f"{file}, set {name}"
    if not isinstance(entry, dict) or not isinstance(entry.get("domains"), dict):
        raise UsageError(f"{where}: `domains` is to be a mapping from domains to benchmarks.")
    if odd := sorted(str(key) for key in entry if key not in _FIELDS):
        raise UsageError(
            f"{where}: unknown field {odd[0]!r}; there are {', '.join(sorted(_FIELDS))}."
        )
    building = _Building(name, where)
    for domain, benchmarks in entry["domains"].items():
        building.add_domain(_text(domain, where, "a domain"))
        if not isinstance(benchmarks, dict):
            raise UsageError(
                f"{where}, domain {domain}: write benchmarks with their subjects, or all."
            )
        for benchmark, subjects in benchmarks.items():
            for subject in _subjects(subjects, f"{where}, domain {domain}, benchmark {benchmark}"):
                building.add(
                    str(domain), "" if benchmark == "*" else str(benchmark), subject, where
                )
    description = entry.get("description")
    return building.built(
        entry.get("fallback"),
        None if description is None else _text(description, where, "description", 10_000),
        _experts(entry.get("experts"), where),
    )


def _subjects(subjects: Any, where: str) -> Sequence[str]:
    if subjects == "all":
        return [""]
    if isinstance(subjects, list) and subjects:
        return [_text(each, where, "a subject") for each in subjects]
    raise UsageError(f"{where}: write `all`, or a list of subjects in brackets.")


def _experts(stated: Any, where: str) -> list[StatedExpert]:
    """Read experts: by domain a model, or by domain and tier."""
    if stated is None:
        return []
    if not isinstance(stated, dict):
        raise UsageError(f"{where}: `experts` is to be a mapping from domains to models.")
    found = []
    for domain, models in stated.items():
        tiers = models if isinstance(models, dict) else {"any": models}
        for tier, model in tiers.items():
            place = f"{where}, expert of {domain}"
            found.append(
                StatedExpert(
                    str(domain), _text(tier, place, "a tier"), _text(model, place, "model")
                )
            )
    return found


def _of_csv(content: str, file: str, name: str) -> DomainSet:
    rows = csv.reader(content.splitlines(), strict=True)
    building = _Building(_text(name, file, "the name"), file)
    fallback = None
    try:
        header = [each.strip().lower() for each in next(rows, [])]
        if not {"domain", "benchmark"} <= set(header) or len(set(header)) < len(header):
            raise UsageError(
                f"{file}, line 1: the columns are domain, benchmark and, as you like, subject and "
                "fallback, each once."
            )
        for row in rows:
            where = f"{file}, line {rows.line_num}"
            if not row:
                continue
            if len(row) != len(header):
                raise UsageError(f"{where}: has {len(row)} fields, the first line {len(header)}.")
            cell = {key: value.strip() for key, value in zip(header, row, strict=True)}
            domain = building.add_domain(_text(cell["domain"], where, "domain"))
            benchmark = (
                "" if cell["benchmark"] == "*" else _text(cell["benchmark"], where, "benchmark")
            )
            building.add(domain, benchmark, cell.get("subject", ""), where)
            if cell.get("fallback", "").lower() in {"1", "true", "yes", "t", "y"}:
                if fallback not in {None, domain}:
                    raise UsageError(f"{where}: {fallback} is the fallback already; there is one.")
                fallback = domain
    except csv.Error as error:
        raise UsageError(f"{file}, line {rows.line_num}: {error}.") from error
    return building.built(fallback, None, [])


class _Building:
    """A set under construction, checked as it grows."""

    def __init__(self, name: str, where: str) -> None:
        self._name = name
        self._where = where
        self._domains: dict[str, None] = {}
        self._subjects: dict[Subject, str] = {}
        self._keys: dict[tuple[str, str], str] = {}

    def add_domain(self, domain: str) -> str:
        if domain not in self._domains and len(self._domains) >= MOST_DOMAINS:
            raise UsageError(f"{self._where}: more than {MOST_DOMAINS:,} domains.")
        self._domains[domain] = None
        return domain

    def add(self, domain: str, benchmark: str, subject: str, where: str) -> None:
        for each, kind in ((benchmark, "benchmark"), (subject, "subject")):
            if each:
                _text(each, where, kind)
        if not benchmark and not subject:
            raise UsageError(f"{where}: all of any benchmark is no subject; name one of them.")
        found = Subject(benchmark, subject)
        before = self._keys.get(found.key)
        if before is not None:
            what = f"{benchmark or 'any benchmark'}: {subject or 'all'}"
            raise UsageError(
                f"{where}: {what} is mapped twice, to {before} and to {domain}; leave one out."
            )
        self._keys[found.key] = domain
        self._subjects[found] = domain

    def built(
        self, fallback: Any, description: str | None, experts: Sequence[StatedExpert]
    ) -> DomainSet:
        if len(self._domains) < 2:  # noqa: PLR2004
            raise UsageError(f"{self._where}: a set is of two domains or more.")
        if fallback is not None and fallback not in self._domains:
            raise UsageError(f"{self._where}: the fallback {fallback!r} is none of its domains.")
        for expert in experts:
            if expert.domain not in self._domains:
                raise UsageError(
                    f"{self._where}: an expert of {expert.domain!r}, which is no domain."
                )
        empty = [each for each in self._domains if each not in set(self._subjects.values())]
        if empty:
            raise UsageError(f"{self._where}, domain {empty[0]}: has no benchmark; name one.")
        return DomainSet(
            self._name, tuple(self._domains), self._subjects, fallback, description, tuple(experts)
        )


def _text(value: Any, where: str, what: str, longest: int = LONGEST) -> str:
    """Return a name, checked."""
    written = str(value) if isinstance(value, str | int | float) else ""
    written = written.strip()
    if not written or len(written) > longest:
        raise UsageError(f"{where}: {what} is to be a text of 1 to {longest} characters.")
    if not written.isprintable():
        raise UsageError(f"{where}: {what} has characters that cannot be printed.")
    return written
