"""Prompts of items of one name: the same question with more around it, or another one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.evaluations.identity.contents import asks_within

WORDS = st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("prompt", "other", "asks", "of_document"),
    [
        ("Who?", "Q: Who?", True, True),
        ("Why", "Q: Why", False, True),  # too short to be a question by chance
        ("Why", "Why", True, True),
        ("", "Q: ", False, False),
        ("", "", True, True),
        ("cast", "broadcast it", False, False),  # not between whole words
        ("cast", "cast it", True, True),
        ("cast", "it casts", False, False),
        ("a  \nb ", "a\nb", True, True),  # white space at the ends of lines does not count
        ("What is (2+2)?", "Q: What is (2+2)?A:", True, True),
    ],
)
def test_what_is_within_a_prompt(prompt: str, other: str, *, asks: bool, of_document: bool) -> None:
    assert asks_within(prompt, other) is asks
    assert asks_within(prompt, other, is_document=True) is of_document


@given(WORDS, WORDS, WORDS)
def test_a_prompt_is_found_among_whole_words(
    before: list[str], asked: list[str], after: list[str]
) -> None:
    prompt = " ".join(asked)
    whole = " ".join([*before, *asked, *after])
    assert asks_within(prompt, whole, is_document=True)
    assert asks_within(prompt, whole) is (len(prompt) >= 4)
