import numpy as np
import pytest
from learned import drawn

from registry.prediction.routing import scoring


def test_the_likeliest_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    serving, prompts = drawn(7, 5), drawn(50, 4, seed=1)
    logits = np.array([[s[:4] @ p + s[4] for s in serving] for p in prompts])
    assert np.allclose(scoring.logits(serving, prompts), logits, atol=1e-5)
    assert (scoring.choose(serving, prompts) == logits.argmax(axis=1)).all()
    monkeypatch.setattr(scoring, "_AT_ONCE", 20)
    assert (scoring.choose(serving, prompts) == logits.argmax(axis=1)).all()
    assert scoring.choose(serving, prompts[:0]).shape == (0,)


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match="for prompts of 4 dimensions, these have 3"):
        scoring.logits(drawn(7, 5), drawn(2, 3))
    with pytest.raises(ValueError, match="matrices, not 2-d and 1-d"):
        scoring.logits(drawn(7, 5), drawn(2, 4)[0])
    with pytest.raises(ValueError, match="no model to choose from"):
        scoring.choose(drawn(0, 5), drawn(2, 4))
