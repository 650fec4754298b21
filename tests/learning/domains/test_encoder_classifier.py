"""Fine-tuning, with an encoder of a few hundred weights that is built here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from domained import WORDS, prompts
from numpy.typing import NDArray

from registry.errors import EncoderError, UsageError
from registry.learning.domains import encoder_classifier
from registry.learning.domains.encoder_classifier import FineTuning, fine_tune, open_classifier
from registry.prediction.domains.domain_finetuning import classify_by_encoder

NAMES = list(WORDS)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a tiny DeBERTa of random weights, and a tokenizer of our words."""
    import torch  # noqa: PLC0415
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415 - takes seconds
    from transformers import (  # noqa: PLC0415
        DebertaV2Config,
        DebertaV2ForSequenceClassification,
        PreTrainedTokenizerFast,
    )

    folder = tmp_path_factory.mktemp("base")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = [*special, *(word for each in WORDS.values() for word in each)]
    tokenizer = Tokenizer(models.WordLevel(dict(zip(words, range(99), strict=False)), "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    config = DebertaV2Config(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=32, pad_token_id=0, type_vocab_size=0,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pooler_hidden_size=16,
        pooler_dropout=0.0,
    )  # fmt: skip
    # What it learns depends on the weights that it begins with.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = DebertaV2ForSequenceClassification(config)
    model.save_pretrained(folder)
    return str(folder)


def data() -> tuple[list[str], NDArray[np.intp]]:
    texts = [prompt for name in NAMES for prompt in prompts(name, 60)]
    return texts, np.repeat(np.arange(3), 60)


def settings(base: str, seed: int = 0) -> FineTuning:
    return FineTuning(base=base, epochs=10, batch=8, learning_rate=1e-2, device="cpu", seed=seed)


@pytest.mark.long
def test_a_tuned_encoder_tells_domains_apart_and_is_saved(base: str, tmp_path: Path) -> None:
    texts, domains = data()
    steps: list[int] = []
    tuned = fine_tune(
        texts, domains, NAMES, settings(base), tmp_path / "tuned", fallback="law",
        on_progress=lambda _, done, total: steps.append(total - done),
    )  # fmt: skip
    assert len(steps) == 10 * 21
    assert steps[-1] == 0
    assert tuned.figures.items == 18
    assert tuned.figures.accuracy == 1
    asked = [*prompts("law", 3, 7), "owl finch egg", "\ud800 root total digit"]
    found = tuned.classifier.predict(asked)
    assert found.probabilities.argmax(axis=1).tolist() == [2, 2, 2, 1, 0]
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    opened = open_classifier(tmp_path / "tuned", device="cpu")
    assert list(opened.domains) == NAMES
    assert opened.fallback == "law"
    by_text = classify_by_encoder(tmp_path / "tuned", asked, device="cpu")
    named = [(each[0].domain, each[0].by) for each in by_text]
    assert named == [(NAMES[place], "text") for place in [2, 2, 2, 1, 0]]
    # The fallback is never one to rely on.
    assert not any(each[0].confident for each in by_text[:3])
    assert any(each[0].confident for each in by_text[3:])
    again = opened.predict(asked)
    np.testing.assert_allclose(again.probabilities, found.probabilities, atol=1e-5)
    np.testing.assert_allclose(again.energies, found.energies, atol=1e-4)
    assert opened.least_energy == tuned.classifier.least_energy
    assert opened.predict([]).probabilities.shape == (0, 3)
    with pytest.raises(UsageError, match="not empty"):
        fine_tune(texts, domains, NAMES, settings(base), tmp_path / "tuned")


def test_texts_that_are_left_out_are_not_trained_on(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, domains = data()
    seen: list[str] = []
    train = encoder_classifier._train

    def spy(*arguments: Any) -> None:
        seen.extend(arguments[2][0])
        train(*arguments)

    monkeypatch.setattr(encoder_classifier, "_train", spy)
    tuned = fine_tune(texts, domains, NAMES, settings(base), tmp_path / "tuned")
    assert len(set(seen)) == 162
    assert set(seen) < set(texts)
    assert tuned.figures.items == 18
    left_out = tuned.classifier.predict([each for each in texts if each not in set(seen)])
    assert tuned.classifier.least_energy == pytest.approx(
        np.quantile(left_out.energies, 0.01), abs=1e-5
    )


def test_what_cannot_be_tuned_or_opened_is_a_sentence(base: str, tmp_path: Path) -> None:
    texts, domains = data()
    with pytest.raises(EncoderError, match="nowhere cannot be loaded"):
        fine_tune(texts, domains, NAMES, settings(str(tmp_path / "nowhere")), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    with pytest.raises(ValueError, match="20 texts or more"):
        fine_tune(texts[:19], domains[:19], NAMES, settings(base), tmp_path / "a")
    with pytest.raises(UsageError, match="has no fine-tuned classifier"):
        open_classifier(tmp_path)
    with pytest.raises(UsageError, match="is no fine-tuned classifier of domains"):
        open_classifier(Path(base), device="cpu")
    with pytest.raises(UsageError, match="'abacus' is no device"):
        open_classifier(Path(base), device="abacus")
