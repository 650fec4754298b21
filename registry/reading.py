"""One page of raw records, with what is needed of each before the database is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from registry.catalog import Sighting
from registry.features import FeatureSet, Traits, feature_set
from registry.records import ModelRecord, Rejected, counters, digest, name_of, parse_record
from registry.values import short_text, storable, timestamp

PAYLOAD_KEPT = 10_000
"""Characters of a rejected record that the quarantine keeps."""


@dataclass(slots=True)
class Reading:
    """One page, with what is needed of each of its records before the database is asked."""

    url: str
    next_url: str | None
    size: int
    by_name: dict[str, object]
    nameless: list[object]
    sightings: dict[str, Sighting]
    moments: list[datetime]
    _parsed: dict[str, ModelRecord | Rejected] = field(default_factory=dict)
    _features: dict[str, FeatureSet | None] = field(default_factory=dict)

    def parsed(self, name: str) -> ModelRecord | Rejected:
        """Return the whole record of a name, read once."""
        found = self._parsed.get(name)
        if found is None:
            found = self._parsed[name] = parse_record(self.by_name[name])
        return found

    def features(self, record: ModelRecord) -> FeatureSet | None:
        """Return the features of one of the page's records, computed once."""
        if record.name not in self._features:
            self._features[record.name] = feature_set(
                Traits(
                    record.parameters,
                    record.model_type,
                    record.architectures,
                    record.pipeline_tag,
                    record.tags,
                )
            )
        return self._features[record.name]

    def reaches(self, since: datetime | None) -> bool:
        """Tell whether the page goes back beyond where a pass is to stop."""
        # The listing is in order: one date that is wrong, further up, must not end a pass.
        return since is not None and bool(self.moments) and self.moments[-1] < since

    def repeats(self, previous: "Reading | None") -> bool:
        """Tell whether the page has the same models as the one before."""
        return (
            previous is not None
            and bool(self.by_name)
            and self.by_name.keys() == previous.by_name.keys()
        )


def read(records: Sequence[object], url: str = "", next_url: str | None = None) -> Reading:
    """Name and fingerprint the raw records of a page; nothing in them makes it fail."""
    by_name: dict[str, object] = {}
    nameless: list[object] = []
    keys: set[str] = set()
    for raw in records:
        name = name_of(raw)
        key = _hub_id(raw)
        if name is None:
            nameless.append(raw)
        elif name not in by_name and key not in keys:
            # The newer of two rows of one repository comes first in the listing.
            by_name[name] = raw
            if key is not None:
                keys.add(key)
    moments = [
        moment
        for raw in records
        if isinstance(raw, dict) and (moment := timestamp(raw.get("lastModified"))) is not None
    ]
    return Reading(
        url=url,
        next_url=next_url,
        size=len(records),
        by_name=by_name,
        nameless=nameless,
        sightings={name: _sighting(name, raw) for name, raw in by_name.items()},
        moments=moments,
    )


def _hub_id(raw: object) -> str | None:
    return short_text(raw.get("_id")) if isinstance(raw, dict) else None


def _sighting(name: str, raw: object) -> Sighting:
    return Sighting(
        name=name,
        hub_id=_hub_id(raw),
        digest=digest(raw),
        **counters(raw)._asdict(),
    )


def payload(raw: object) -> str:
    """Return the beginning of a raw record as text, for the quarantine."""
    try:
        return storable(ascii(raw)[:PAYLOAD_KEPT])
    except RecursionError:
        return "(nested too deeply to be shown)"
