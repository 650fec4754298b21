"""Vectors: of texts by encoders."""

from typing import Any

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    Column,
    ForeignKey,
    Identity,
    Integer,
    Named,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    Uuid,
)

from registry.db.schema.base import metadata


class EncoderColumns(TypedColumns):
    """One row per encoder that has vectors of texts."""

    encoder_id = Column(Integer, Identity(always=True), primary_key=True)
    name: Named[str] = Column(Text, comment="as it is opened by")
    dimension: Named[int] = Column(Integer, comment="length of each of its vectors")


encoders = Table("encoders", metadata, EncoderColumns, UniqueConstraint("name"))


class TextVectorColumns(TypedColumns):
    """What an encoder makes of what items ask: a row for each text, however many items share it."""

    encoder_id = Column(
        Integer,
        ForeignKey("store.encoders.encoder_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    content_hash: Named[Any] = Column(
        Uuid, primary_key=True, comment="of items: of their prompt and choices"
    )
    # Without a length, since encoders differ in theirs.
    vector: Named[Any] = Column(
        HALFVEC, nullable=False, comment="of the encoder's dimension, of length 1 or 0"
    )


text_vectors = Table("text_vectors", metadata, TextVectorColumns)
