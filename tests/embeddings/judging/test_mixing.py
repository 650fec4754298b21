"""Exam mixing, against counting."""

from collections.abc import Sequence

import numpy as np
import pytest
from learned import drawn
from numpy.typing import NDArray

from registry.embeddings.judging import mixing as measured
from registry.embeddings.judging.mixing import Similarity, catalog_similarity, mixing
from registry.embeddings.judging.sentences import mixing_warnings
from registry.learning.coldstart.features import Description
from registry.learning.coldstart.lineage_kernel import ParentLink


def took(*of: Sequence[int], models: int) -> NDArray[np.bool_]:
    return np.column_stack([np.isin(np.arange(models), list(each)) for each in of])


def alike(vectors: NDArray[np.float32]) -> Similarity:
    return lambda rows: np.asarray(vectors[rows] @ vectors.T, np.float64)


NOTHING_KNOWN = alike(np.zeros((60, 2), np.float32))


def test_shares_are_what_counting_says() -> None:
    vectors, facts = drawn(60), drawn(60, seed=1)
    exams = took(range(35), range(20, 60), models=60)
    first, second = mixing(vectors, exams, alike(facts))
    for found, members in ((first, exams[:, 0]), (second, exams[:, 1])):
        near, near_by_facts = [], []
        for one in np.flatnonzero(members):
            others = [each for each in range(60) if each != one]
            order = sorted(others, key=lambda at: np.linalg.norm(vectors[at] - vectors[one]))
            near.append(members[order[:5]].mean())
            order = sorted(others, key=lambda at: -float(facts[at] @ facts[one]))
            near_by_facts.append(members[order[:5]].mean())
        assert found.share == pytest.approx(np.mean(near))
        assert found.catalog == pytest.approx(np.mean(near_by_facts))
    assert (first.models, first.only) == (35, 20)
    assert (second.models, second.only) == (40, 25)
    assert first.chance == pytest.approx(34 / 59)
    norms = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
    assert first.norm == pytest.approx(np.median(norms[:35]), rel=1e-5)


def test_blocks_far_apart_are_seen_and_warned_of() -> None:
    """Two exams in corners of their own, whose models are otherwise alike."""
    vectors = drawn(60)
    exams = took(range(12), range(12, 60), models=60)
    apart = vectors.copy()
    apart[:12] += 100
    found = mixing(apart, exams, NOTHING_KNOWN)
    assert [each.share for each in found] == [1, 1]
    small = {**vars_of(found[0]), "benchmarks": ["mmlu_pro"]}
    large = {**vars_of(found[1]), "benchmarks": ["arc", "gsm8k", "mmlu", "boolq"]}
    [warning] = mixing_warnings({"mixing": {"exams": [small, large]}})
    assert (
        "that took mmlu_pro, 100% took it too, beside 18.6% of those by the catalog alone"
        in warning
    )
    unlike = {**small, "catalog": 0.01}
    assert "beside 18.6% of all models" in mixing_warnings({"mixing": {"exams": [unlike]}})[0]
    by_chance = {**unlike, "share": 0.4}
    assert mixing_warnings({"mixing": {"exams": [by_chance]}}) == [], "twice what chance gives"
    together = mixing(vectors, exams, NOTHING_KNOWN)[0]
    assert together.share < 2 * together.chance
    assert mixing_warnings({"mixing": {"exams": [{**small, **vars_of(together)}]}}) == []


def vars_of(found: measured.ExamMixing) -> dict[str, float]:
    return {name: getattr(found, name) for name in ("models", "share", "chance", "catalog")}


def test_equally_near_models_share_the_places() -> None:
    """Models with the same outcomes to the bit have one vector: none is nearer for its place."""
    same = np.ones((60, 3), np.float32)
    for members in (range(20), range(40, 60)):
        [found] = mixing(same, took(members, models=60), NOTHING_KNOWN)
        assert found.share == pytest.approx(19 / 59)
        assert found.catalog == pytest.approx(19 / 59)


def test_exams_of_few_models_and_of_nearly_all_are_left_out() -> None:
    exams = took(range(9), range(10), range(57), range(58), range(60), models=60)
    assert [each.exam for each in mixing(drawn(60), exams, NOTHING_KNOWN)] == [1, 2]
    assert mixing(drawn(1), took(range(1), models=1), NOTHING_KNOWN) == []
    assert mixing(drawn(60), np.zeros((60, 0), np.bool_), NOTHING_KNOWN) == []


def test_of_many_a_sample_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, exams = drawn(600), took(range(400), models=600)
    known = alike(drawn(600, seed=1))
    [whole] = mixing(vectors, exams, known)
    monkeypatch.setattr(measured, "_SAMPLE", 1_000)
    [all_] = mixing(vectors, exams, known)
    assert whole.share == pytest.approx(all_.share, abs=0.05)
    assert whole.catalog == pytest.approx(all_.catalog, abs=0.05)


def test_the_catalog_knows_families_and_sizes() -> None:
    base = Description("org/base-7b", 7_000_000_000, "llama")
    tunes = [
        Description(f"tuner/t{n}", 7_000_000_000, "llama", parents=(ParentLink("org/base-7b"),))
        for n in range(3)
    ]
    others = [Description(f"lab{n}/x{n}", 10**8 * 3**n, "gpt2") for n in range(3)]
    models = [*tunes, *others]
    similarity = catalog_similarity(models, [*models, base])
    found = similarity(np.arange(6))
    assert found.shape == (6, 6)
    assert found[0, 1] > 2 * found[0, 3:].max()
    assert np.allclose(found, found.T, atol=1e-5)
    without = catalog_similarity([Description("a"), Description("b")], [Description("a")])
    assert without(np.array([0])).shape == (1, 2)
