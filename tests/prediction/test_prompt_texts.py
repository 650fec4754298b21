"""Texts of prompts: which are refused, and the warning of those read in part."""

import logging

import numpy as np
import pytest

from registry.errors import UsageError
from registry.learning.encoders import open_encoder
from registry.prediction.prompt_texts import LONGEST, check_prompts, encode_prompts


def test_prompts_that_cannot_be_read_are_named() -> None:
    check_prompts(["x" * LONGEST, "y"])
    for prompts, said in (
        ([" \n"], "The prompt is empty"),
        (["a", ""], "Prompt 2 is empty"),
        (["x" * (LONGEST + 1)], "The prompt has 1,000,001 characters; 1,000,000 are read at most"),
        (["a", "b", "x" * (LONGEST + 1)], "Prompt 3 has 1,000,001"),
    ):
        with pytest.raises(UsageError, match=said):
            check_prompts(prompts)
        with pytest.raises(UsageError, match=said):
            encode_prompts("hashing", prompts)


def test_prompts_that_are_read_in_part_are_said(caplog: pytest.LogCaptureFixture) -> None:
    prompts = ["short words", "long " * 30_000, "longer " * 30_000]
    with caplog.at_level(logging.WARNING):
        found = encode_prompts("hashing", prompts)
    assert np.array_equal(found, open_encoder("hashing").encode(prompts))
    (record,) = caplog.records
    assert record.getMessage() == (
        "2 of 3 prompts, the first 2, are longer than hashing reads: a part alone counts"
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        encode_prompts("hashing", prompts[1:2])
        encode_prompts("hashing", prompts[:1])
    assert [each.getMessage()[:33] for each in caplog.records] == [
        "The prompt is longer than hashing"
    ]
