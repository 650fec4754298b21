from collections.abc import Callable

import json_values
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.coerce import tags, texts


@pytest.mark.parametrize("read", [tags, texts])
@pytest.mark.parametrize("other", ["gguf", "é"])
@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_text_is_none_and_not_left_out(
    read: Callable[[object], tuple[list[str], bool]], other: str, blank: str
) -> None:
    assert read([blank, f" {other} ", other]) == ([other], False)


@given(st.lists(json_values.ANY) | json_values.ANY)
def test_tags_are_read_as_texts_are(value: object) -> None:
    assert tags(value) == texts(value)
