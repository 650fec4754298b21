"""Table of ratings of models by which of them does better on the same items."""

from sqlalchemy import Column, Integer, Named, Table, Text, TypedColumns

from registry.db.schema.analyses import analysis_key, number
from registry.db.schema.base import metadata


class PreferenceRatingTable(TypedColumns):
    """One row per model of an analysis of preferences, without a rating where it has none."""

    analysis_id = analysis_key()
    model = Column(Text, primary_key=True, comment="its name then")
    rating = number("on Elo's scale; null where it has none")
    lower = number("end of its interval")
    upper = number("its other end")
    rank: Named[int | None] = Column(Integer, comment="from 1; null without a rating")
    best_rank: Named[int | None] = Column(Integer, comment="that the intervals allow")
    worst_rank: Named[int | None] = Column(Integer, comment="likewise")
    wins: Named[int] = Column(Integer, comment="of comparisons on an item")
    ties: Named[int] = Column(Integer, comment="equal outcomes")
    losses: Named[int] = Column(Integer)
    # The column hides a method of the base class that nothing calls.
    items: Named[int] = Column(  # type: ignore[assignment]
        Integer, comment="shared with another model"
    )
    unrated: Named[str | None] = Column(Text, comment="why it has no rating")


preference_ratings = Table("preference_ratings", metadata, PreferenceRatingTable)
