"""Enumerations: the command line, the schema and the core each use the one that there is."""

from enum import StrEnum

import click
import numpy as np
import pytest
from sqlalchemy import CheckConstraint

from registry import enums
from registry.analysis import communities
from registry.cli import registry
from registry.cli.parameters import OneOf
from registry.db.schema import metadata
from registry.evaluations import exporter
from registry.evaluations.formats import detect
from registry.learning import metrics
from registry.learning.factorization import selection


def option(path: str, name: str) -> click.ParamType[object]:
    command: click.Command = registry
    for word in path.split():
        assert isinstance(command, click.Group)
        command = command.commands[word]
    (found,) = (each.type for each in command.params if name in each.opts)
    return found


@pytest.mark.parametrize(
    ("path", "name", "members"),
    [
        ("models search", "--state", enums.ModelState),
        ("models search", "--sort", enums.SearchOrder),
        ("lineage check", "--problem", enums.LineageProblem),
        ("evals import", "--as", enums.ImportFormat),
        ("evals leaderboard", "--license-class", enums.LicenseClass),
        ("evals export", "--as", enums.ExportFormat),
        ("embeddings export", "--to", enums.VectorFormat),
        ("embeddings probe communities", "--by", enums.CommunityKind),
        ("embeddings probe benchmarks", "--method", enums.VECTOR_METHODS),
        ("nearest", "--kind", enums.VectorKind),
        ("train", "--method", (enums.MethodName.BLEND, *enums.VECTOR_METHODS)),
        ("embeddings compare", "--method", enums.MethodName),
        ("embeddings compare", "--split", enums.SplitKind),
        ("prices import", "--as", enums.PriceFormat),
        ("prices changes", "--change", enums.PriceChange),
    ],
)
def test_an_option_takes_the_values_of_its_enumeration(
    path: str, name: str, members: type[StrEnum]
) -> None:
    offered = option(path, name)
    assert isinstance(offered, OneOf)
    assert list(offered.choices) == list(members)
    for member in members:
        assert offered.convert(member.value, None, None) is member
    with pytest.raises(click.BadParameter, match="one of"):
        offered.convert("no such value", None, None)


@pytest.mark.parametrize(
    ("table", "column", "members"),
    [
        ("models", "state", enums.ModelState),
        ("model_aliases", "source", enums.AliasSource),
        ("edges", "relation", enums.Relation),
        ("edges", "source", enums.EdgeSource),
        ("evaluated_names", "method", enums.NameMethod),
        ("price_offers", "method", enums.OfferMethod),
        ("embedding_versions", "state", enums.VersionState),
        ("embeddings", "kind", enums.VectorKind),
        ("sync_passes", "kind", enums.SyncKind),
        ("job_runs", "status", enums.JobStatus),
    ],
)
def test_a_column_is_checked_for_the_values_of_its_enumeration(
    table: str, column: str, members: type[StrEnum]
) -> None:
    (check,) = (
        each
        for each in metadata.tables[f"store.{table}"].constraints
        if isinstance(each, CheckConstraint) and each.name == f"{table}_{column}_check"
    )
    quoted = ", ".join(f"'{member.value}'" for member in members)
    assert str(check.sqltext) == f"{column} IN ({quoted})"


def test_each_value_has_what_the_core_does_for_it() -> None:
    assert [*exporter.FORMATS] == [*enums.ExportFormat]
    assert [*detect.FORMATS] == [*enums.ImportFormat]
    assert [*communities.KINDS] == [*enums.CommunityKind]
    assert selection.METHODS.keys() | {"blend"} == set(enums.MethodName)
    one = np.ones((1, 1))
    # Coverage is of intervals, which not all methods have.
    found = [*metrics.holdout_metrics(one, one, one > 0), enums.Metric.COVERAGE]
    assert found == [*enums.Metric]
