"""Tables of maps of models, and of the abilities behind their scores."""

from sqlalchemy import Boolean, Column, Double, Integer, Named, Table, Text, TypedColumns

from registry.db.schema.analyses import analysis_key, benchmark_key, number, version_key
from registry.db.schema.base import metadata


class ProjectionTable(TypedColumns):
    """One row per model on a map."""

    analysis_id = analysis_key()
    model = Column(Text, primary_key=True, comment="its name then")
    x: Named[float] = Column(Double)
    y: Named[float] = Column(Double)
    group_name: Named[str | None] = Column(Text, comment="null where it is in none")


projections = Table("projections", metadata, ProjectionTable)


class ProjectionCheckTable(TypedColumns):
    """One row per map: what it keeps, and whether groups lie apart."""

    analysis_id = analysis_key()
    layout: Named[str] = Column(Text, comment="tsne or umap")
    models: Named[int] = Column(Integer)
    benchmarks: Named[int] = Column(Integer)
    trustworthiness = number("1 where no neighbours on the plane are not neighbours by scores")
    kept_neighbours = number("share of the ten nearest models that are so on the plane")
    grouped_models: Named[int] = Column(Integer, comment="in groups of two or more")
    groups: Named[int] = Column(Integer)
    silhouette = number("mean, of standardised scores")
    silhouette_p = number("share of random orders as high")
    purity = number("share of the ten nearest models that are of the same group")
    purity_by_chance = number("mean over random orders")
    purity_p = number("share of random orders as high")
    adjusted_rand = number("agreement with k-means, 0 by chance")
    map_silhouette = number("on the plane")
    map_purity = number("on the plane")
    map_adjusted_rand = number("on the plane")
    verdict: Named[str] = Column(Text, comment="apart, overlapping, no difference found or unknown")


projection_checks = Table("projection_checks", metadata, ProjectionCheckTable)


class AbilityFactorTable(TypedColumns):
    """One row per factor of an analysis of abilities."""

    analysis_id = analysis_key()
    factor: Named[int] = Column(
        Integer, primary_key=True, autoincrement=False, comment="from 1 on, the largest first"
    )
    eigenvalue: Named[float] = Column(Double, comment="of the correlation matrix")
    by_chance: Named[float] = Column(Double, comment="that normal scores reach by chance")
    kept: Named[bool] = Column(Boolean, comment="by parallel analysis")
    share: Named[float] = Column(Double, comment="of the variance of standardised scores")
    share_lower: Named[float] = Column(Double, comment="end of its interval")
    share_upper: Named[float] = Column(Double, comment="its other end")
    rotated_share = number("of the variance, by the rotated factor")


ability_factors = Table("ability_factors", metadata, AbilityFactorTable)


class FactorLoadingTable(TypedColumns):
    """One row per kept factor and benchmark."""

    analysis_id = analysis_key()
    factor: Named[int] = Column(
        Integer, primary_key=True, autoincrement=False, comment="of ability_factors"
    )
    benchmark = benchmark_key()
    version = version_key()
    loading: Named[float] = Column(Double, comment="after varimax")
    lower: Named[float] = Column(Double, comment="end of its interval")
    upper: Named[float] = Column(Double, comment="its other end")
    communality: Named[float] = Column(Double, comment="share of the variance by all kept factors")


factor_loadings = Table("factor_loadings", metadata, FactorLoadingTable)
