import numpy as np
import pytest
from learned import drawn

from registry import routing


def test_the_likeliest_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    serving, prompts = drawn(7, 5), drawn(50, 4, seed=1)
    logits = np.array([[s[:4] @ p + s[4] for s in serving] for p in prompts])
    assert np.allclose(routing.logits(serving, prompts), logits, atol=1e-5)
    assert (routing.choose(serving, prompts) == logits.argmax(axis=1)).all()
    monkeypatch.setattr(routing, "_AT_ONCE", 20)
    assert (routing.choose(serving, prompts) == logits.argmax(axis=1)).all()
    assert routing.choose(serving, prompts[:0]).shape == (0,)


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match="for prompts of 4 dimensions, these have 3"):
        routing.logits(drawn(7, 5), drawn(2, 3))
    with pytest.raises(ValueError, match="matrices, not 2-d and 1-d"):
        routing.logits(drawn(7, 5), drawn(2, 4)[0])
    with pytest.raises(ValueError, match="no model to choose from"):
        routing.choose(drawn(0, 5), drawn(2, 4))
