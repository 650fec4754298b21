"""A page of the listing: its raw records, their listing rows, and their rows when requested.

Pure; a page can be pickled and sent from one process to another.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import repeat
from typing import NamedTuple

from registry.catalog.features import Traits, feature_set
from registry.catalog.rows import Entry, counter_line, document_line, listing_line, model_line
from registry.coerce import short_text, timestamp
from registry.hub.decode import RecordText, Rejected, decode_again, decode_parts
from registry.hub.digest import Encoded, digest, encode
from registry.hub.records import (
    ModelRecord,
    counters,
    name_of,
    parse_record,
    parse_records,
    unread_counters,
)
from registry.sync.batch import Batch, RejectedRecord

PAYLOAD_LENGTH = 10_000
"""Characters of a rejected record that the quarantine keeps."""


class _UnreadRecord(NamedTuple):
    """A record whose row is not made yet, with its digest and its `counter_line`.

    Either the raw record with its encoding, or its text.
    """

    raw: Mapping[str, object] | RecordText
    encoded: Encoded | None
    digest: int
    counters: str


@dataclass(slots=True)
class RecordPage:
    """A page of the listing, or several joined.

    Attributes:
        url: its address.
        next_url: the address of the next page, None on the last.
        size: number of its records, repeated and unreadable ones included.
        listing_rows: a row of `rows.LISTING_COLUMNS` for each name, in the listing's order.
        nameless: records without a usable name.
        moments: the last changes of its records, in their order, where they can be read.
        pages: number of the listing's pages that are joined in it.
        names: by Hub key, where a record has one.
        batch: its rows as COPY text, where an initial load has prepared them.
        body: the page as fetched, where its records were not sent along with the batch.
    """

    url: str
    next_url: str | None
    size: int = 0
    listing_rows: dict[str, str] = field(default_factory=dict)
    nameless: list[RejectedRecord] = field(default_factory=list)
    moments: list[datetime] = field(default_factory=list)
    pages: int = 1
    names: dict[str, str] = field(default_factory=dict)
    batch: Batch | None = None
    body: bytes = field(default=b"", repr=False)
    _unread: dict[str, _UnreadRecord] = field(default_factory=dict)
    _read: dict[str, Entry | RejectedRecord] = field(default_factory=dict)

    @property
    def listed(self) -> Collection[str]:
        """Names, in the listing's order."""
        return self.listing_rows.keys()

    def reaches(self, since: datetime | None) -> bool:
        """Return whether the page ends with a change before this moment."""
        # The listing is in order: one date that is wrong, further up, must not end a crawl.
        return since is not None and bool(self.moments) and self.moments[-1] < since

    def repeats(self, previous: "RecordPage | None") -> bool:
        """Return whether the page has the same models as the one before."""
        return (
            previous is not None and bool(self.listed) and set(self.listed) == set(previous.listed)
        )

    def add(self, records: Sequence[object], texts: Sequence[RecordText] | None = None) -> None:
        """Add raw records by name and digest, in the page's order.

        Args:
            records: the records.
            texts: the text of each. Where given, it is kept instead of the records: it takes
                a tenth of their memory, and most of them may never be read.
        """
        self.size += len(records)
        self.moments += _moments(records)
        named: dict[str, Mapping[str, object]] = {}
        named_texts: list[RecordText] = []
        keys: list[str | None] = []
        for index, raw in enumerate(records):
            name = name_of(raw)
            if name is None:
                self.nameless.append(_nameless(raw))
                continue
            assert isinstance(raw, Mapping)
            key = short_text(raw.get("_id"))
            # The newer of two rows of one repository comes first in the listing.
            if name in self.listing_rows or name in named or key in self.names:
                continue
            named[name] = raw
            keys.append(key)
            if texts is not None:
                named_texts.append(texts[index])
            if key is not None:
                self.names[key] = name
        self._add_named(named, keys, named_texts)

    def _add_named(
        self,
        records: Mapping[str, Mapping[str, object]],
        keys: Sequence[str | None],
        texts: Sequence[RecordText],
    ) -> None:
        # One step for all records at a time, as in `_read_records`.
        raws = list(records.values())
        encoded = list(map(encode, raws))
        counts = list(map(counters, raws))
        digests = list(map(digest, raws, encoded, map(unread_counters, raws, counts)))
        counter_lines = list(map(counter_line, counts))
        unread = (
            map(_UnreadRecord, texts, repeat(None), digests, counter_lines)
            if texts
            else map(_UnreadRecord, raws, encoded, digests, counter_lines)
        )
        self._unread |= dict(zip(records, unread, strict=True))
        lines = map(listing_line, records, keys, digests, counter_lines)
        self.listing_rows |= dict(zip(records, lines, strict=True))

    def row(self, name: str) -> Entry | RejectedRecord:
        """Return the row of a record, read once."""
        if name not in self._read:
            self.rows([name])
        return self._read[name]

    def rows(self, names: Iterable[str]) -> tuple[list[Entry], list[RejectedRecord]]:
        """Return the rows of the records of these names, each read once, and the rejected ones."""
        names = list(names)
        self._read |= _read_records({
            name: self._unread.pop(name) for name in names if name in self._unread
        })  # fmt: skip
        entries: list[Entry] = []
        rejected: list[RejectedRecord] = []
        for name in names:
            row = self._read[name]
            if isinstance(row, Entry):
                entries.append(row)
            else:
                rejected.append(row)
        return entries, rejected

    def read_all(self) -> None:
        """Make the rows of all records, and release the raw records."""
        self._read |= _read_records(self._unread)
        self._unread = {}

    def prepare_batch(self, keys: Sequence[int], moment: str) -> None:
        """Make the rows of all records ready for COPY, as models that are all new.

        Args:
            keys: for its models, at least as many; the rest is not used.
            moment: when they were observed, as Postgres reads it.
        """
        self.read_all()
        self.batch = Batch.of(*self.rows(self.listing_rows), keys, moment)

    def without_records(self) -> "RecordPage":
        """Return the page without its rows, to be pickled with its batch alone."""
        return replace(self, _unread={}, _read={})

    def with_records(self) -> "RecordPage":
        """Return the page with its records and without a batch."""
        if self.body:
            return read_body(self.body, self.url, self.next_url)
        return replace(self, batch=None)

    def joined(self, following: "RecordPage") -> "RecordPage":
        """Return this page and the next one as one; of a repeated model, this page's record.

        All records of the next page are read for it.
        """
        repeated = {following.names[key] for key in following.names.keys() & self.names.keys()}
        repeated |= following.listing_rows.keys() & self.listing_rows.keys()
        added = [name for name in following.listing_rows if name not in repeated]
        following.read_all()
        return replace(
            self,
            url=following.url,
            next_url=following.next_url,
            size=self.size + following.size,
            pages=self.pages + following.pages,
            listing_rows=self.listing_rows | {name: following.listing_rows[name] for name in added},
            names=following.names | self.names,
            nameless=self.nameless + following.nameless,
            moments=self.moments + following.moments,
            _read=self._read | {name: following.row(name) for name in added},
        )


def read(records: Sequence[object], url: str = "", next_url: str | None = None) -> RecordPage:
    """Make a page of raw records; no record makes it fail."""
    page = RecordPage(url=url, next_url=next_url)
    page.add(records)
    return page


def read_body(body: bytes, url: str = "", next_url: str | None = None) -> RecordPage:
    """Make a page of the body of a reply, and keep the text of its records.

    Takes half the time of `read` with `decode_page`.

    Raises:
        HubError: when it is no list of records.
    """
    page = RecordPage(url=url, next_url=next_url)
    for part in decode_parts(body):
        page.add(*part)
    return page


def _moments(records: Iterable[object]) -> Iterator[datetime]:
    for raw in records:
        if isinstance(raw, dict):
            moment = timestamp(raw.get("lastModified"))
            if moment is not None:
                yield moment


def _read_records(unread: Mapping[str, _UnreadRecord]) -> dict[str, Entry | RejectedRecord]:
    """Parse records and make their rows.

    Each step is done for all records before the next: its code then stays in the processor's
    cache, which takes a sixth less time.
    """
    unread = _decoded(unread)
    parsed = parse_records(
        [each.raw for each in unread.values()], [each.encoded for each in unread.values()]
    )
    records = [record for record in parsed if isinstance(record, ModelRecord)]
    models = [model_line(record, unread[record.name].digest) for record in records]
    documents = [document_line(record) for record in records]
    features = [
        feature_set(
            Traits(
                record.parameters,
                record.model_type,
                record.architectures,
                record.pipeline_tag,
                record.tags,
            )
        )
        for record in records
    ]
    rows: dict[str, Entry | RejectedRecord] = {
        record.name: Entry(
            name=record.name,
            model=model,
            document=document,
            counters=unread[record.name].counters,
            parents=record.parents,
            renames=record.renames,
            features=traits,
            partly_read=bool(record.unread),
            evaluations=record.evaluations,
        )
        for record, model, document, traits in zip(
            records, models, documents, features, strict=True
        )
    }
    for (name, each), record in zip(unread.items(), parsed, strict=True):
        if isinstance(record, Rejected):
            rows[name] = RejectedRecord(record.key, record.reason, _payload(each.raw))
    return rows


def _decoded(unread: Mapping[str, _UnreadRecord]) -> Mapping[str, _UnreadRecord]:
    """Decode the records of which there is only the text."""
    texts = {name: each.raw for name, each in unread.items() if isinstance(each.raw, RecordText)}
    if not texts:
        return unread
    decoded = dict(unread)
    for name, raw in zip(texts, decode_again([*texts.values()]), strict=True):
        # It was an object when its name was read.
        assert isinstance(raw, Mapping)
        decoded[name] = unread[name]._replace(raw=raw, encoded=encode(raw))
    return decoded


def _nameless(raw: object) -> RejectedRecord:
    rejected = raw if isinstance(raw, Rejected) else parse_record(raw)
    assert isinstance(rejected, Rejected)
    return RejectedRecord(rejected.key or f"digest {digest(raw):x}", rejected.reason, _payload(raw))


def _payload(raw: object) -> str:
    """Return the beginning of a raw record as JSON text, for the quarantine."""
    try:
        return json.dumps(raw)[:PAYLOAD_LENGTH]
    except (RecursionError, TypeError, ValueError):
        # Such as a `Rejected`: all that is left of a record that is nested too deeply to decode.
        return "(cannot be written as JSON)"
