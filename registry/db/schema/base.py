"""Metadata of all tables, and kinds of columns that several tables have."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Label, MetaData, Text, literal_column, text
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData(
    schema="store",
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    },
)


def one_of(column: str, values: type[StrEnum]) -> str:
    """Return the condition that a column holds a value of an enumeration, as SQL."""
    quoted = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({quoted})"


def lowered(column: str) -> Label[str]:
    """Return a column in lower case, to be indexed."""
    # A labelled expression: Alembic can compare it only with the operator class stated apart.
    return literal_column(f"lower({column})", Text).label("lowered")


def model_key() -> Column[int]:
    """Return the key of a table that has a row for each of `models`, and only the sync writes.

    Without a foreign key: checking those of five tables took a fifth of a first sync.
    """
    return Column(BigInteger, primary_key=True, autoincrement=False, comment="the model")


def texts(comment: str) -> Column[Any]:
    """Return a column of lists, empty where nothing is known."""
    return Column(ARRAY(Text), nullable=False, server_default=text("'{}'"), comment=comment)


def time(comment: str) -> Column[datetime]:
    """Return a column of times."""
    return Column(DateTime(timezone=True), nullable=False, comment=comment)


def time_or_null(comment: str) -> Column[datetime | None]:
    """Return a column of times that may be unknown."""
    return Column(DateTime(timezone=True), comment=comment)
