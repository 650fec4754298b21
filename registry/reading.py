"""One page of raw records, with what is needed of each before the database is asked.

Pure, and its results can be sent from one process to another.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from registry.features import FeatureSet, Traits, feature_set
from registry.parentage import Parent
from registry.records import ModelRecord, Rejected, counters, digest, name_of, parse_record
from registry.rows import counter_line, document_line, model_line, sighting_line
from registry.values import short_text, storable, timestamp

PAYLOAD_KEPT = 10_000
"""Characters of a rejected record that the quarantine keeps."""


class Entry(NamedTuple):
    """One readable record, ready to be written.

    `model`, `document` and `counters` are rows of COPY text, as in `registry.rows`.
    """

    name: str
    model: str
    document: str
    counters: str
    parents: tuple[Parent, ...]
    renames: tuple[tuple[str, str], ...]
    features: FeatureSet | None
    partly_read: bool


class Refusal(NamedTuple):
    """One record that cannot be read: why, under which key it was seen, and how it begins."""

    key: str
    reason: str
    payload: str


@dataclass(slots=True)
class Reading:
    """One page.

    Attributes:
        url: its address.
        next_url: that of the next one, None on the last.
        size: number of its records, repeated and unreadable ones included.
        sightings: a row of `rows.SIGHTING_COLUMNS` for each name, in the listing's order.
        nameless: what has no usable name.
        pages: number of the listing's pages that it holds.
        names: by the Hub's own key, where there is one.
        moments: the last changes of its records, in their order, where they can be read.
    """

    url: str
    next_url: str | None
    size: int
    sightings: dict[str, str]
    nameless: list[Refusal]
    moments: list[datetime]
    pages: int = 1
    names: dict[str, str] = field(default_factory=dict)
    _raw: dict[str, object] = field(default_factory=dict)
    _counters: dict[str, str] = field(default_factory=dict)
    _digests: dict[str, int] = field(default_factory=dict)
    _read: dict[str, Entry | Refusal] = field(default_factory=dict)

    def note(self, name: str, key: str | None, raw: object) -> None:
        """Take note of a record by its fingerprint and counters, unless it is there already."""
        # The newer of two rows of one repository comes first in the listing.
        if name in self.sightings or (key is not None and key in self.names):
            return
        if key is not None:
            self.names[key] = name
        fingerprint, counted = digest(raw), counter_line(counters(raw))
        self.sightings[name] = sighting_line(name, key, fingerprint, counted)
        self._raw[name], self._counters[name], self._digests[name] = raw, counted, fingerprint

    def entry(self, name: str) -> Entry | Refusal:
        """Return what a record says, read once."""
        found = self._read.get(name)
        if found is None:
            raw, known = self._raw[name], self._counters[name]
            found = self._read[name] = _entry(raw, self._digests[name], known)
        return found

    def entries(self, names: Iterable[str]) -> tuple[list[Entry], list[Refusal]]:
        """Return what the records of these names say, and those that cannot be read."""
        entries: list[Entry] = []
        refusals: list[Refusal] = []
        for name in names:
            found = self.entry(name)
            if isinstance(found, Entry):
                entries.append(found)
            else:
                refusals.append(found)
        return entries, refusals

    def joined(self, following: "Reading") -> "Reading":
        """Return this page and the next one, all of whose records have been read, as one."""
        again = {following.names[key] for key in following.names.keys() & self.names.keys()}
        again |= following.sightings.keys() & self.sightings.keys()
        fresh = [name for name in following.sightings if name not in again]
        return replace(
            self,
            url=following.url,
            next_url=following.next_url,
            size=self.size + following.size,
            pages=self.pages + following.pages,
            sightings=self.sightings | {name: following.sightings[name] for name in fresh},
            names=following.names | self.names,
            nameless=self.nameless + following.nameless,
            moments=self.moments + following.moments,
            _read=self._read | {name: following.entry(name) for name in fresh},
        )

    def complete(self) -> "Reading":
        """Read every record, and let go of what it was read from."""
        for name in self.sightings:
            self.entry(name)
        self._raw, self._counters, self._digests = {}, {}, {}
        return self

    def reaches(self, since: datetime | None) -> bool:
        """Tell whether the page goes back beyond where a pass is to stop."""
        # The listing is in order: one date that is wrong, further up, must not end a pass.
        return since is not None and bool(self.moments) and self.moments[-1] < since

    def repeats(self, previous: "Reading | None") -> bool:
        """Tell whether the page has the same models as the one before."""
        return (
            previous is not None
            and bool(self.sightings)
            and self.sightings.keys() == previous.sightings.keys()
        )


def read(records: Sequence[object], url: str = "", next_url: str | None = None) -> Reading:
    """Name and fingerprint the raw records of a page; nothing in them makes it fail."""
    reading = Reading(
        url=url,
        next_url=next_url,
        size=len(records),
        sightings={},
        nameless=[],
        moments=list(_moments(records)),
    )
    for raw in records:
        name = name_of(raw)
        if name is None:
            reading.nameless.append(_nameless(raw))
            continue
        assert isinstance(raw, Mapping)
        key = short_text(raw.get("_id"))
        reading.note(name, key, raw)
    return reading


def _moments(records: Iterable[object]) -> Iterator[datetime]:
    for raw in records:
        if isinstance(raw, dict):
            moment = timestamp(raw.get("lastModified"))
            if moment is not None:
                yield moment


def _entry(raw: object, fingerprint: int, counted: str) -> Entry | Refusal:
    record = parse_record(raw)
    if isinstance(record, Rejected):
        return Refusal(record.key, record.reason, _payload(raw))
    return entry(record, fingerprint, counted)


def entry(record: ModelRecord, fingerprint: int, counted: str) -> Entry:
    """Make a record ready to be written; `counted` is its `counter_line`."""
    return Entry(
        name=record.name,
        model=model_line(record, fingerprint),
        document=document_line(record),
        counters=counted,
        parents=record.parents,
        renames=record.renames,
        features=feature_set(
            Traits(
                record.parameters,
                record.model_type,
                record.architectures,
                record.pipeline_tag,
                record.tags,
            )
        ),
        partly_read=bool(record.unread),
    )


def _nameless(raw: object) -> Refusal:
    refused = raw if isinstance(raw, Rejected) else parse_record(raw)
    assert isinstance(refused, Rejected)
    return Refusal(refused.key or f"digest {digest(raw):x}", refused.reason, _payload(raw))


def _payload(raw: object) -> str:
    """Return the beginning of a raw record as text, for the quarantine."""
    try:
        return storable(ascii(raw)[:PAYLOAD_KEPT])
    except RecursionError:
        return "(nested too deeply to be shown)"
