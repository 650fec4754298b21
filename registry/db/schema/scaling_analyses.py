"""Tables of scores by size, tokens, compute or time: scaling curves, and saturation."""

from sqlalchemy import Boolean, Column, Double, Integer, Named, Table, Text, TypedColumns

from registry.db.schema.analyses import analysis_key, benchmark_key, number, version_key
from registry.db.schema.base import metadata


class ScalingFitTable(TypedColumns):
    """One row per benchmark and group of an analysis of scaling."""

    analysis_id = analysis_key()
    benchmark = benchmark_key()
    version = version_key()
    group_name = Column(Text, primary_key=True, comment="all models is the curve through all")
    form: Named[str] = Column(Text, comment="logistic, or line where scores are no shares")
    n: Named[int] = Column(Integer, comment="scores")
    sizes: Named[int] = Column(Integer, comment="different amounts")
    floor = number("score of chance that a logistic curve rises from")
    floor_known: Named[bool] = Column(Boolean, comment="false where it is 0 for want of better")
    slope = number("by factor of ten, in log odds or in scores")
    slope_lower = number("end of its interval")
    slope_upper = number("its other end")
    p = number("of no slope")
    deviation = number("standard, of scores about the curve")
    r_squared = number("share of the variance that the curve explains")
    held_out: Named[int] = Column(Integer, comment="largest models, predicted from the smaller")
    error = number("mean absolute one of them")
    last_error = number("likewise, of the score at the largest size not held out")
    line_error = number("likewise, of a line")
    pooled_error = number("likewise, of a curve through all groups")
    covered = number("share of them that their interval holds")
    shared_error = number("likewise, of a curve with the slope of all groups")
    shared_covered = number("likewise, by its intervals")
    drift = number("deviation of larger models from curves, by factor of ten")


scaling_fits = Table("scaling_fits", metadata, ScalingFitTable)


class ScalingPointTable(TypedColumns):
    """One row per point of a scaling curve."""

    analysis_id = analysis_key()
    benchmark = benchmark_key()
    version = version_key()
    group_name = Column(Text, primary_key=True)
    position = Column(Integer, primary_key=True, autoincrement=False)
    amount: Named[float] = Column(Double, comment="weights, tokens or operations")
    score: Named[float] = Column(Double, comment="of the curve")
    lower = number("end of the interval of a new score")
    upper = number("its other end")
    beyond: Named[bool] = Column(Boolean, comment="the largest model it was fitted to")


scaling_points = Table("scaling_points", metadata, ScalingPointTable)


class AbilityScalingTable(TypedColumns):
    """One row per group whose first principal ability is a line of the logarithm."""

    analysis_id = analysis_key()
    group_name = Column(Text, primary_key=True)
    n: Named[int] = Column(Integer, comment="models with all scores")
    intercept: Named[float] = Column(Double, comment="at an amount of one")
    slope: Named[float] = Column(Double, comment="by factor of ten")
    slope_lower: Named[float] = Column(Double, comment="end of its interval")
    slope_upper: Named[float] = Column(Double, comment="its other end")
    p = number("of no slope")
    r_squared: Named[float] = Column(Double, comment="share of the variance that the line explains")
    ability_share: Named[float] = Column(
        Double, comment="of the variance of all scores, by the ability"
    )


ability_scaling = Table("ability_scaling", metadata, AbilityScalingTable)


class SaturationTable(TypedColumns):
    """One row per benchmark and period of the models."""

    analysis_id = analysis_key()
    benchmark = benchmark_key()
    version = version_key()
    period = Column(Text, primary_key=True, comment="all models is the row of all")
    position: Named[int] = Column(Integer, comment="in the order of time")
    n: Named[int] = Column(Integer, comment="models of the period")
    models: Named[int] = Column(Integer, comment="of it and all before")
    median: Named[float] = Column(Double, comment="of the period")
    lower_quartile: Named[float] = Column(Double, comment="of the period")
    upper_quartile: Named[float] = Column(Double, comment="of the period")
    deviation = number("standard, of the period")
    best: Named[float] = Column(Double, comment="score so far")
    best_model: Named[str] = Column(Text, comment="its name then")
    headroom: Named[float] = Column(Double, comment="from the best score to 1")
    noise = number("half the interval of the best score")
    near_best = number("share of models so far that are not told apart from the best")
    pairs: Named[int] = Column(Integer, comment="of the ten best models, compared")
    separated = number("share of them that are told apart")
    paired: Named[bool] = Column(Boolean, comment="compared on shared items")
    verdict: Named[str] = Column(Text, comment="separates, separates little, saturated or unknown")


saturation_results = Table("saturation_results", metadata, SaturationTable)
