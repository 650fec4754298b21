"""Records become features whatever they lack."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from registry.learning.coldstart import lineage_kernel
from registry.learning.coldstart.features import Description, Featurizer
from registry.learning.coldstart.kernel import Kernel, parts
from registry.learning.coldstart.lineage_kernel import (
    MOST_ANCESTORS,
    Ancestry,
    Edges,
    ParentLink,
    keys_of,
)

CATALOG = [
    Description("meta/Llama-2-7b", 6_738_000_000, "llama", "text-generation", ("english",), 10.0),
    Description("meta/Llama-2-13b", 13_000_000_000, "llama", "text-generation", (), 10.0),
    Description(
        "ann/llama-2-7b-chat", 6_738_000_000, None, None, (), 40.0, (ParentLink("meta/Llama-2-7b"),)
    ),
    Description("bob/Mistral-7B", None, "mistral"),
    Description("stub"),
    Description(""),
]


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        (Description("a/x-7b", 7_240_000_000), 7.24),
        (Description("a/x-7b", 7_000_000_000_000), 7.0),
        (Description("a/x-7b", 7_000_000), 7.0),
        (Description("a/x-7b", -1), 7.0),
        (Description("a/x", 7_000_000_000_000), np.nan),
        (Description("a/x", 0), np.nan),
        (Description("a/x"), np.nan),
    ],
)
def test_a_size_that_cannot_be_gives_way_to_the_names(model: Description, billions: float) -> None:
    sizes = Featurizer.of([[model]]).blocks([model]).sizes
    assert sizes[0] == pytest.approx(np.log2(billions * 1e9), nan_ok=True)


def test_rows_have_norm_one_or_nothing() -> None:
    blocks = Featurizer.of([CATALOG]).blocks(CATALOG)
    for name in ("metadata", "pieces", "words", "profiles", "lineage"):
        norms = np.sqrt(getattr(blocks, name).power(2).sum(axis=1))
        assert np.all(np.isclose(norms, 1) | (norms == 0)), name
    assert blocks.metadata[[4]].nnz == 0
    assert blocks.pieces[[5]].nnz == 0


def test_a_family_that_is_not_stated_is_read_from_the_name() -> None:
    blocks = Featurizer.of([CATALOG]).blocks(CATALOG)
    assert blocks.families[2] == blocks.families[0] != 0
    assert blocks.families[4] == 0


def test_blocks_made_apart_are_those_made_together() -> None:
    featurizer = Featurizer.of([CATALOG[:2], CATALOG[2:]])
    whole = featurizer.blocks(CATALOG)
    apart = featurizer.blocks(CATALOG[2:4])
    assert (whole.pieces[[2, 3]] != apart.pieces).nnz == 0
    assert (whole.metadata[[2, 3]] != apart.metadata).nnz == 0


def test_similarity_is_symmetric_positive_and_its_diagonal_is_told() -> None:
    blocks = Featurizer.of([CATALOG]).blocks(CATALOG)
    similar = Kernel().between(blocks, blocks)
    assert similar == pytest.approx(similar.T, abs=1e-6)
    assert np.linalg.eigvalsh(similar.astype(float)).min() > -1e-5
    assert similar.diagonal() == pytest.approx(Kernel().own(blocks), abs=1e-5)


def test_parts_add_up() -> None:
    blocks = Featurizer.of([CATALOG]).blocks(CATALOG)
    kernel = Kernel()
    total = sum(kernel.weights[name] * part for name, part in parts(blocks, blocks).items())
    assert kernel.between(blocks, blocks) == pytest.approx(total, abs=1e-5)


def test_a_column_that_vanished_changes_nothing_else() -> None:
    featurizer = Featurizer.of([CATALOG])
    bare = [model._replace(task=None, tags=()) for model in CATALOG]
    blocks, less = featurizer.blocks(CATALOG), featurizer.blocks(bare)
    near = Kernel().between(less, blocks)
    assert np.isfinite(near).all()
    assert near[0].argmax() == 0


def ancestors(parents: Mapping[str, Sequence[ParentLink]], *names: str) -> list[dict[str, float]]:
    """Return the ancestors of models by their names in lower case."""
    found = Ancestry.of(Edges.of(parents)).ancestors(keys_of(names))
    known = {*parents, *names, *(link.name for links in parents.values() for link in links)}
    names_of = {
        int(key): name.lower() for name, key in zip(known, keys_of(list(known)), strict=True)
    }
    each: list[dict[str, float]] = [{} for _ in names]
    for row, key, weight in zip(found.rows, found.keys, found.weights, strict=True):
        each[row][names_of[int(key)]] = float(weight)
    return each


def test_lineage_by_the_best_path() -> None:
    parents = {
        "child": (ParentLink("base"), ParentLink("Base", "merge")),
        "grandchild": (ParentLink("Child", "adapter"),),
        "sister": (ParentLink("base", "quantized"),),
        "merged": (
            ParentLink("child", "merge"),
            ParentLink("sister", "merge"),
            ParentLink("base", "merge"),
        ),
    }
    child, grandchild, merged, stranger = ancestors(
        parents, "CHILD", "grandchild", "merged", "stranger"
    )
    assert child == pytest.approx({"child": 1.0, "base": 0.8})
    assert grandchild == pytest.approx({"grandchild": 1.0, "child": 0.8, "base": 0.64})
    assert merged == pytest.approx({"merged": 1.0, "child": 0.7, "sister": 0.7, "base": 0.7})
    assert stranger == {"stranger": 1.0}


def test_cycles_and_endless_lines_end() -> None:
    cycle = {"a": (ParentLink("b"),), "b": (ParentLink("a"),), "self": (ParentLink("self"),)}
    a, alone = ancestors(cycle, "a", "self")
    assert a == pytest.approx({"a": 1.0, "b": 0.8})
    assert alone == {"self": 1.0}
    line = {str(n): (ParentLink(str(n + 1)),) for n in range(100)}
    assert len(ancestors(line, "0")[0]) == 5


def test_merges_of_everything_keep_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = {f"m{n}": [ParentLink(f"b{at}", "merge") for at in range(500)] for n in range(50)}
    everything["child"] = [ParentLink("m1")]
    found = ancestors(everything, "m0", "child", "m49")
    assert [len(each) for each in found] == [MOST_ANCESTORS + 1] * 3
    assert found[1]["m1"] == pytest.approx(0.8)
    # However few steps are taken at a time.
    monkeypatch.setattr(lineage_kernel, "MOST_AT_ONCE", 10)
    assert ancestors(everything, "m0", "child", "m49") == found
