"""COPY text of a page whose models are all new.

An initial load draws the keys of models beforehand, so that readers can prepare whole rows, and
the process that talks to the database only passes them on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from registry.catalog.rows import Entry, evaluation_lines, model_lines, parent_lines


class RejectedRecord(NamedTuple):
    """A record that cannot be read: the key that it was listed under, why, and how it begins."""

    key: str
    reason: str
    payload: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Batch:
    """The rows of a page of an initial load.

    Attributes:
        keys: of its models.
        texts: COPY text by table, each line with its end; tables without rows are left out.
        fingerprints: of the models' feature sets; None where nothing is known.
        vectors: feature vectors by fingerprint.
        partly_read: number of models of which something could not be read.
        rejected: records that cannot be read.
    """

    keys: Sequence[int]
    texts: Mapping[str, bytes]
    fingerprints: Sequence[str | None]
    vectors: Mapping[str, str]
    partly_read: int
    rejected: Sequence[RejectedRecord]

    @classmethod
    def of(
        cls,
        entries: Sequence[Entry],
        rejected: Sequence[RejectedRecord],
        keys: Sequence[int],
        moment: str,
    ) -> Self:
        """Make the rows of new models.

        Args:
            entries: the models.
            rejected: the records that cannot be read.
            keys: for the models, at least as many; the rest is not used.
            moment: when they were observed, as Postgres reads it.
        """
        models = list(zip(keys, entries, strict=False))
        lines = {
            **model_lines(models, moment),
            **parent_lines(models),
            **evaluation_lines(models),
        }
        sets = [each.features for each in entries]
        return cls(
            keys=[key for key, _ in models],
            texts={table: "\n".join([*rows, ""]).encode() for table, rows in lines.items() if rows},
            fingerprints=[each.fingerprint if each else None for each in sets],
            vectors={each.fingerprint: each.vector for each in sets if each},
            partly_read=sum(each.partly_read for each in entries),
            rejected=rejected,
        )
