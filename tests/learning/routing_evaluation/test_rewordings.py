"""Small rewordings of prompts."""

from registry.learning.routing_evaluation.rewordings import rewordings

TEXTS = ["What, exactly, is the Capital of France?", "1 + 1", ""]


def test_each_kind_changes_what_it_says() -> None:
    found = rewordings(TEXTS)
    assert found["polite"][1] == "Please answer the following question. 1 + 1"
    assert found["lower-case"][0] == "what, exactly, is the capital of france?"
    assert found["unpunctuated"][0] == "What exactly is the Capital of France"
    assert [len(texts) for texts in found.values()] == [3] * 4


def test_typos_swap_two_letters_of_a_word() -> None:
    text = "swapping letters changes words " * 10
    (once,) = rewordings([text], seed=1)["mistyped"]
    changed = [(a, b) for a, b in zip(text.split(), once.split(), strict=True) if a != b]
    assert 1 <= len(changed) <= 4
    assert all(sorted(a) == sorted(b) for a, b in changed)
    assert rewordings([text], seed=1)["mistyped"] == [once]
    assert rewordings([text], seed=2)["mistyped"] != [once]
    assert rewordings(TEXTS)["mistyped"][1:] == ["1 + 1", ""]
