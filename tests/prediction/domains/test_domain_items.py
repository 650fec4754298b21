import numpy as np
import pytest

from registry.prediction.domains import domain_items
from registry.prediction.domains.domain_items import DomainItems, learnable_items


def items(texts: list[str | None], domains: list[int]) -> DomainItems:
    return DomainItems([], np.array(domains, np.intp), texts, [], 0)


def test_each_text_is_learned_from_once_and_of_one_domain() -> None:
    of = items(["a", "b", None, "a", "c", "b", "b"], [0, 0, 0, 0, 1, 1, 0])
    # b is of both domains, and so of neither.
    assert learnable_items(of).tolist() == [0, 4]
    assert learnable_items(items([None], [0])).tolist() == []


def test_a_large_domain_does_not_crowd_out_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain_items, "MOST_ITEMS", 10)
    of = items([str(number) for number in range(60)], [0] * 50 + [1] * 10)
    chosen = learnable_items(of, seed=1)
    assert (of.domains[chosen] == 0).sum() == 10
    assert (of.domains[chosen] == 1).sum() == 10
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert learnable_items(of, seed=1).tolist() == chosen.tolist()
    assert learnable_items(of, seed=2).tolist() != chosen.tolist()
