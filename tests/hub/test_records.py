import csv
import gzip
import json
import re
from collections import Counter
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import HubError
from registry.hub.decode import PART, Rejected, decode_page, decode_parts
from registry.hub.digest import digest
from registry.hub.records import Counters, ModelRecord, counters, name_of, parse_record

HUB_MODELS = Path(__file__).parents[3] / "shared" / "data" / "hub-models"

RECORD = {
    "_id": "66f1",
    "id": "acme/Rocket-7B-Chat",
    "modelId": "acme/Rocket-7B-Chat",
    "author": "acme",
    "sha": "0123456789abcdef0123456789abcdef01234567",
    "createdAt": "2024-05-10T06:47:21.000Z",
    "lastModified": "2024-08-27T09:11:05.000+02:00",
    "downloads": 16964,
    "downloadsAllTime": 410836,
    "likes": 277,
    "trendingScore": 1.5,
    "gated": "manual",
    "private": False,
    "disabled": False,
    "pipeline_tag": "text-generation",
    "library_name": "transformers",
    "tags": [
        "transformers",
        "safetensors",
        "llama",
        "en",
        "arxiv:2403.04652v2",
        "dataset:acme/instructions",
        "base_model:acme/Rocket-7B",
        "base_model:finetune:acme/Rocket-7B",
        "license:apache-2.0",
        "region:us",
    ],
    "cardData": {
        "license": "Apache-2.0",
        "language": ["en", "de"],
        "datasets": ["acme/chats", "acme/instructions"],
        "base_model": "acme/Rocket-7B",
        "new_version": "acme/Rocket-2-7B-Chat",
    },
    "config": {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
    "safetensors": {"parameters": {"BF16": 6738415616}, "total": 6738415616},
}

FIELDS = [*RECORD, "gguf"]
CARD_FIELDS = [
    "license",
    "license_name",
    "license_link",
    "language",
    "datasets",
    "base_model",
    "base_model_relation",
    "Base_model",
    "new_version",
    "library_name",
    "pipeline_tag",
    "merge_config",
    "mergekit",
    "models",
    "slices",
    "modules",
    "experts",
]

any_text = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    [
        "acme/a",
        "a/b/c",
        "base_model:merge:acme/a",
        "base_model:acme/a",
        "base_model:odd:acme/a",
        "https://huggingface.co/acme/a/tree/main",
        "2024-01-01",
        "0001-01-01T00:00:00+14:00",
        "license:mit",
        "arxiv:2403.04652",
        "models: [{model: acme/a}]",
        "a: *b",
        "[" * 2_000,
        "\x00",
        "\ud800",
        "x" * 300,
    ]
)
any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63) - 1, 10**400, 10**4000])
    | st.floats()
    | any_text,
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(any_text | st.sampled_from(CARD_FIELDS), values, max_size=4)
    ),
    max_leaves=12,
)


def nested(depth: int, inner: object = "acme/a") -> object:
    value = inner
    for _ in range(depth):
        value = [value] if depth % 2 else {"models": value}
    return value


def parsed(raw: object) -> ModelRecord:
    record = parse_record(raw)
    assert isinstance(record, ModelRecord)
    return record


def with_card(tags: list[str] | None = None, **card: object) -> ModelRecord:
    return parsed({"id": "acme/child", "tags": tags or [], "cardData": card})


def edges(record: ModelRecord) -> list[tuple[str, str, str]]:
    return [(parent.name, parent.relation, parent.source) for parent in record.parents]


def storable(value: object) -> bool:
    """Tell whether Postgres can keep every text and integer in `value`."""
    if isinstance(value, str):
        return "\0" not in value and value.encode(errors="ignore").decode() == value
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, dict):
        return all(storable(item) for item in value.items())
    if isinstance(value, tuple):
        return all(storable(item) for item in value)
    if hasattr(value, "__dataclass_fields__"):
        return all(storable(getattr(value, field.name)) for field in fields(value))  # type: ignore[arg-type]
    return True


def refuse_constant(text: str) -> float:
    raise AssertionError(text)


def check(outcome: ModelRecord | Rejected) -> None:
    assert storable(outcome)
    if isinstance(outcome, ModelRecord):
        assert outcome.created_at is None or outcome.created_at.tzinfo is UTC
        for text in (outcome.card, outcome.config):
            if text is not None:
                assert isinstance(json.loads(text, parse_constant=refuse_constant), dict)
        for parent in outcome.parents:
            assert 0 < parent.confidence <= 1
        assert len(set(edges(outcome))) == len(outcome.parents)


def test_record_is_read() -> None:
    record = parsed(RECORD)
    assert record.name == "acme/Rocket-7B-Chat"
    assert record.hub_id == "66f1"
    assert record.author == "acme"
    assert record.created_at == datetime(2024, 5, 10, 6, 47, 21, tzinfo=UTC)
    assert record.last_modified == datetime(2024, 8, 27, 7, 11, 5, tzinfo=UTC)
    assert (record.downloads, record.downloads_all_time, record.likes) == (16964, 410836, 277)
    assert record.trending_score == 1.5
    assert (record.gated, record.private, record.disabled) == ("manual", False, False)
    assert (record.pipeline_tag, record.library) == ("text-generation", "transformers")
    assert record.license == "apache-2.0"
    assert record.languages == ("en", "de")
    assert record.datasets == ("acme/chats", "acme/instructions")
    assert record.arxiv == ("2403.04652",)
    assert record.tags == tuple(RECORD["tags"])  # type: ignore[arg-type]
    assert (record.architectures, record.model_type) == (("LlamaForCausalLM",), "llama")
    assert (record.parameters, record.parameters_source) == (6738415616, "safetensors")
    assert record.dtypes == {"BF16": 6738415616}
    assert record.quantization is None
    assert record.new_version == "acme/Rocket-2-7B-Chat"
    assert record.card is not None
    assert json.loads(record.card) == RECORD["cardData"]
    assert edges(record) == [("acme/Rocket-7B", "finetune", "tag")]
    assert record.unread == ()


def test_bare_record_is_read() -> None:
    record = parsed({"id": "gpt2"})
    assert (record.name, record.author, record.unread) == ("gpt2", None, ())
    assert (record.card, record.parents, record.parameters) == (None, (), None)


@given(any_json)
def test_nothing_raises(raw: object) -> None:
    check(parse_record(raw))
    assert -(2**63) <= digest(raw) < 2**63
    assert storable(counters(raw))
    assert name_of(raw) is None or isinstance(raw, dict)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(FIELDS), any_json)
def test_any_value_in_one_field_leaves_the_others(field: str, value: object) -> None:
    outcome = parse_record({**RECORD, field: value})
    check(outcome)
    digest({**RECORD, field: value})
    if field not in ("id", "modelId"):
        assert isinstance(outcome, ModelRecord)
        assert outcome.name == RECORD["id"]
        assert field == "sha" or outcome.sha == RECORD["sha"]
        assert field == "config" or outcome.model_type == "llama"


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(CARD_FIELDS), any_json, max_size=4))
def test_any_value_in_the_card_leaves_the_record(card: dict[str, object]) -> None:
    record = parsed({**RECORD, "cardData": card})
    check(record)
    assert edges(record)[0] == ("acme/Rocket-7B", "finetune", "tag")


@pytest.mark.parametrize("depth", [250, 300, 10_001, 100_000])
def test_deep_nesting_is_left_out(depth: int) -> None:
    raw = {**RECORD, "cardData": {"base_model": nested(depth), "license": "mit"}}
    record = parsed(raw)
    assert record.license == "mit"
    assert "base_model" in record.unread
    assert (record.card is None) == ("cardData" in record.unread)
    assert (record.card is None) == (depth > 300)
    assert digest(raw) == digest(dict(reversed(raw.items())))


def test_large_documents_are_kept_up_to_the_cap() -> None:
    assert len(with_card(text="x" * 5_000_000).card or "") > 5_000_000
    record = with_card(text="x" * 17_000_000, license="mit")
    assert (record.card, record.license, record.unread) == (None, "mit", ("cardData",))


@pytest.mark.parametrize(
    "name",
    [
        None,
        7,
        "",
        "a b/c",
        "a/b/c",
        "/a",
        "a/",
        "a/..",
        "https://huggingface.co/a/b",
        "a\0b",
        "\ud800",
        "a/b\n",
        "x" * 256,
        "C:\\models",
    ],
)
def test_record_without_usable_name_is_rejected(name: object) -> None:
    outcome = parse_record({"id": name, "_id": "66f1"})
    assert isinstance(outcome, Rejected)
    assert "id" in outcome.reason
    assert storable(outcome)
    assert outcome.key


def test_what_is_no_object_is_rejected() -> None:
    assert parse_record([1]) == Rejected("", "The record is of type list, not an object.")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("downloads", -1),
        ("downloads", True),
        ("downloads", 2**63),
        ("likes", "12"),
        ("likes", 1.5),
        ("trendingScore", float("nan")),
        ("trendingScore", 10**400),
        ("createdAt", "yesterday"),
        ("createdAt", 1715323641),
        ("createdAt", "0001-01-01T00:00:00+14:00"),
        ("lastModified", "10000-01-01T00:00:00Z"),
        ("gated", "maybe"),
        ("private", "no"),
        ("tags", "one tag" * 100),
        ("tags", ["fine", 3]),
        ("tags", [str(number) for number in range(1_001)]),
        ("cardData", ["license"]),
        ("config", "none"),
        ("model_type", 3),
        ("gguf", 1),
        ("safetensors", {"total": -5}),
        ("safetensors", {"parameters": {"F16": "many"}}),
        ("author", "x" * 256),
        ("sha", []),
    ],
)
def test_unreadable_field_is_named(field: str, value: object) -> None:
    raw = (
        {**RECORD, "config": {field: value}} if field == "model_type" else {**RECORD, field: value}
    )
    assert parsed(raw).unread == (field,)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("license", {"id": "mit"}),
        ("language", [{"code": "en"}]),
        ("datasets", [1, "acme/a"]),
        ("new_version", "see the website"),
        ("base_model", 7),
        ("base_model", [["acme/a"]]),
        ("base_model", "./checkpoints/last"),
        ("base_model", "https://example.com/acme/a"),
        ("base_model_relation", "copy"),
    ],
)
def test_unreadable_card_field_is_named(field: str, value: object) -> None:
    card = {"base_model": "acme/gone", field: value}
    assert parsed({"id": "acme/child", "cardData": card}).unread == (field,)


@pytest.mark.parametrize(
    "card",
    [
        {"License": "mit"},
        {"License": "gpl", "license": "mit"},
        {"license": "mit", "License": "gpl"},
    ],
)
def test_a_key_in_lower_case_comes_before_another_spelling(card: dict[str, str]) -> None:
    assert parsed({"id": "a/b", "cardData": card}).license == "mit"


def test_missing_null_and_empty_are_not_unreadable() -> None:
    empty = dict.fromkeys(FIELDS, None) | {"id": "a/b", "author": "", "sha": "", "tags": []}
    record = parsed(empty | {"cardData": {"license": None, "base_model": [], "language": ""}})
    assert record.unread == ()
    assert record.author == "a"


def test_text_that_postgres_refuses_is_replaced() -> None:
    record = parsed(
        {
            "id": "a/b",
            "author": "a\0\ud800",
            "tags": ["t\0"],
            "cardData": {"k\0": ["\udfff", float("inf"), 10**30, "\\u0000"], "license": "l\0"},
        }
    )
    assert record.author == "a\ufffd\ufffd"
    assert record.tags == ("t\ufffd",)
    assert record.license == "l\ufffd"
    assert json.loads(record.card or "") == {
        "k\ufffd": ["\ufffd", None, 10**30, "\\u0000"],
        "license": "l\ufffd",
    }


@pytest.mark.parametrize(
    ("gated", "expected"),
    [(False, None), (None, None), (True, "auto"), ("auto", "auto"), ("manual", "manual")],
)
def test_gate(gated: object, expected: str | None) -> None:
    assert parsed({"id": "a/b", "gated": gated}).gated == expected


@pytest.mark.parametrize(
    ("card", "tags", "expected"),
    [
        ({"license": ["MIT", "other"]}, [], "mit"),
        ({"License": "agpl-3.0"}, [], "agpl-3.0"),
        ({}, ["license:gemma"], "gemma"),
        ({"license": 3}, ["license:gemma"], "gemma"),
        ({}, ["mit"], None),
    ],
)
def test_license(card: dict[str, object], tags: list[str], expected: str | None) -> None:
    assert with_card(tags, **card).license == expected


def test_languages_come_from_the_card_else_from_tags() -> None:
    assert with_card(["fr", "ml"], language="En").languages == ("en",)
    assert with_card(["fr", "ml", "is"]).languages == ("fr",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("acme/Rocket-7B", 7_000_000_000),
        ("acme/rocket-1.1b-chat", 1_100_000_000),
        ("acme/Qwen2-1_5B", 1_500_000_000),
        ("acme/Llama_2_7b", 7_000_000_000),
        ("acme/v2_7B", 7_000_000_000),
        ("acme/Mixtral-8x7B-v0.1", 56_000_000_000),
        ("acme/MoE-34Bx2-60B", 60_000_000_000),
        ("acme/Qwen3-30B-A3B", 30_000_000_000),
        ("acme/smol-350m", 350_000_000),
        ("acme/bloom-560M", 560_000_000),
        ("acme/rocket-1M-7B", 7_000_000_000),
        ("7B/rocket", None),
        ("acme/rocket-4bit-128k-v2", None),
        ("acme/rocket-7000B", None),
        ("acme/rocket-0B", None),
        ("acme/rocket-A3B", None),
        ("acme/bert-base", None),
    ],
)
def test_parameters_in_the_name(name: str, expected: int | None) -> None:
    record = parsed({"id": name})
    assert record.parameters == expected
    assert record.parameters_source == ("name" if expected else None)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"safetensors": {"total": 5}, "gguf": {"total": 6}}, (5, "safetensors")),
        ({"safetensors": {"parameters": {"F32": 2, "I64": 1}}}, (3, "safetensors")),
        ({"gguf": {"total": 6}}, (6, "gguf")),
        ({"safetensors": {"total": 0}}, (7_000_000_000, "name")),
        ({"safetensors": {"total": 9, "parameters": {"F32": 2}}}, (9, "safetensors")),
        ({"safetensors": {"total": 9, "parameters": {"F32": 9, "BF16": 1}}}, (10, "safetensors")),
    ],
)
def test_parameters_in_the_headers(headers: dict[str, object], expected: tuple[int, str]) -> None:
    record = parsed({"id": "acme/x-7b", **headers})
    assert (record.parameters, record.parameters_source) == expected


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"config": {"quantization_config": {"quant_method": "gptq", "bits": 4}}}, "gptq-4bit"),
        (
            {
                "config": {
                    "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}
                }
            },
            "bitsandbytes-8bit",
        ),
        ({"config": {"quantization_config": {"quant_method": "fp8"}}}, "fp8"),
        ({"config": {"quantization_config": "odd"}}, None),
        ({"gguf": {"total": 6, "architecture": "llama"}}, "gguf"),
        ({"gguf": {"total": 6}, "tags": ["gguf", "safetensors"]}, None),
        ({"tags": ["4-bit", "bitsandbytes"]}, "bitsandbytes-4bit"),
        ({"tags": ["8-bit"]}, "8-bit"),
        ({"tags": ["mlx"]}, None),
        ({"tags": ["mlx", "4-bit"]}, "mlx-4bit"),
        ({"id": "acme/x-AWQ"}, "awq"),
        ({"id": "acme/x-bnb-4bit"}, "bitsandbytes-4bit"),
        ({"id": "acme/x-FP8"}, "fp8"),
        ({"id": "awq/x"}, None),
    ],
)
def test_quantization(extra: dict[str, object], expected: str | None) -> None:
    assert parsed({"id": "acme/x", **extra}).quantization == expected


def test_model_type_without_config() -> None:
    assert parsed({"id": "a/b", "gguf": {"architecture": "qwen2"}}).model_type == "qwen2"
    assert parsed({"id": "a/b", "tags": ["merge", "gpt_neox"]}).model_type == "gpt_neox"


def test_digest_ignores_counters_and_order_of_keys() -> None:
    moved = {**RECORD, "downloads": 1, "downloadsAllTime": 2, "likes": 3, "trendingScore": 4}
    assert digest(dict(reversed(moved.items()))) == digest(RECORD)
    assert counters(moved) == Counters(1, 2, 3, 4.0)


@given(any_json, any_json)
def test_digest_tells_records_apart(one: object, other: object) -> None:
    # Not numbers and null are the same to it.
    spelled = [
        re.sub(r"NaN|-?Infinity", "null", json.dumps(value, sort_keys=True))
        for value in (one, other)
    ]
    if spelled[0] != spelled[1]:
        assert digest({"id": "a/b", "x": one}) != digest({"id": "a/b", "x": other})


class TestDecodePage:
    def test_list(self) -> None:
        assert decode_page(b'[{"id": "a/b"}, 3]') == [{"id": "a/b"}, 3]

    def test_what_strict_parsers_refuse(self) -> None:
        first, second = decode_page(b'[{"x": NaN, "y": "\\ud800"}, [1e999, ' + b"9" * 9999 + b"]]")
        assert isinstance(first, dict)
        assert first["y"] == "\ud800"
        assert second == [float("inf"), float("inf")]

    def test_bytes_that_are_no_text(self) -> None:
        assert decode_page(b'["\xff"]') == ["\ufffd"]

    @pytest.mark.parametrize("depth", [1_100, 200_000])
    def test_too_deep_record_is_rejected_alone(self, depth: int) -> None:
        deep = '{"id": "a/deep", "x": "],[\\"", "y": ' + "[" * depth + "]" * depth + "}"
        page = decode_page(
            f'[{{"id": "a/b"}}, {deep}, "[,", {{"id": "a/c", "x": [1, 2]}}]'.encode()
        )
        assert page[0] == {"id": "a/b"}
        assert page[2:] == ["[,", {"id": "a/c", "x": [1, 2]}]
        assert page[1] == Rejected("a/deep", "The record is nested too deeply to be read.")
        assert parse_record(page[1]) == page[1]
        assert isinstance(digest(page[1]), int)

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b'{"error": "Invalid sort"}', "Invalid sort"),
            (b'"fine"', "type str"),
            (b"<html>", "<html>"),
            (b"", "not JSON"),
            (b'[{"id": ', "not JSON"),
            (b'[{"id": NaN, ', "not JSON"),
        ],
    )
    def test_anything_else_is_refused(self, body: bytes, said: str) -> None:
        with pytest.raises(HubError, match=said):
            decode_page(body)


class TestDecodeParts:
    @pytest.mark.parametrize(
        "odd",
        [
            b'{"id": "a/b"}',
            b"null",
            b'{"x": NaN, "y": "\\ud800"}',
            b'{"x": "\xff"}',
            b'{"id": "a/deep", "x": ' + b"[" * 2_000 + b"]" * 2_000 + b"}",
            b'{"id": "a/deep", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
            b"9" * 9_999,
            b'{"a": "],[", "b": [{"c": "\\""}, [], {}]}',
        ],
        ids=["plain", "null", "nan", "no text", "deep", "deeper", "digits", "brackets"],
    )
    @pytest.mark.parametrize("before", [0, PART - 1, PART, 3 * PART])
    def test_parts_are_the_page(self, odd: bytes, before: int) -> None:
        records = [f'{{"id": "a/{number}", "likes": {number}}}'.encode() for number in range(200)]
        body = b" [" + b" ,\n".join([*records[:before], odd, *records[before:]]) + b"] "
        parts = list(decode_parts(body))
        assert [record for part in parts for record in part.records] == decode_page(body)

    def test_few_at_once(self) -> None:
        parts = list(decode_parts(b"[" + b",".join([b"1"] * (2 * PART + 1)) + b"]"))
        assert [len(part.records) for part in parts] == [PART, PART, 1]

    def test_an_empty_page(self) -> None:
        assert not list(decode_parts(b"[]"))

    @pytest.mark.parametrize("body", [b'{"error": "busy"}', b"", b"<html>", b'[{"id": ', b"[1] 2"])
    def test_anything_else_is_refused(self, body: bytes) -> None:
        with pytest.raises(HubError) as expected:
            decode_page(body)
        with pytest.raises(HubError) as found:
            list(decode_parts(body))
        assert str(found.value) == str(expected.value)


@pytest.fixture(scope="module")
def raw() -> dict[str, dict[str, object]]:
    lines = gzip.decompress((HUB_MODELS / "models.jsonl.gz").read_bytes()).splitlines()
    return {record["id"]: record for record in map(json.loads, lines)}


@pytest.fixture(scope="module")
def records(raw: dict[str, dict[str, object]]) -> list[ModelRecord]:
    return [parsed(record) for record in raw.values()]


@pytest.mark.shared
@pytest.mark.skipif(not HUB_MODELS.is_dir(), reason="the Hub's records are not beside the checkout")
class TestRealRecords:
    def test_tagged_edges_are_the_hubs(self, records: list[ModelRecord]) -> None:
        with (HUB_MODELS / "lineage_edges.csv").open(newline="") as file:
            expected = {tuple(row.values()) for row in csv.DictReader(file)}
        tagged = {
            (record.name, parent.name, parent.relation)
            for record in records
            for parent in record.parents
            if parent.source == "tag"
        }
        assert tagged == expected

    def test_each_card_entry_is_accounted_for(
        self, raw: dict[str, dict[str, object]], records: list[ModelRecord]
    ) -> None:
        classes: Counter[str] = Counter()
        for record in records:
            card = raw[record.name].get("cardData")
            entries = card.get("base_model") if isinstance(card, dict) else None
            listed = dict.fromkeys([entries] if isinstance(entries, str) else entries or [])
            tagged = {parent.name for parent in record.parents if parent.source == "tag"}
            from_card = {parent.name for parent in record.parents if parent.source == "card"}
            renamed = dict(record.renames)
            assert set(renamed.values()) <= tagged
            assert not from_card & tagged
            for entry in listed:
                homes = [entry in tagged, entry in renamed, entry in from_card, "/" not in entry]
                assert homes.count(True) == 1, (record.name, entry)
                classes[("tagged", "renamed", "card only", "no model")[homes.index(True)]] += 1
        assert classes["tagged"] > 10 * classes["card only"]
        assert classes["renamed"] > 0
        assert classes["no model"] > 0

    def test_nothing_is_unread_but_what_names_no_model(self, records: list[ModelRecord]) -> None:
        assert {field for record in records for field in record.unread} == {"base_model"}
