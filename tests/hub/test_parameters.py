"""Numbers of weights: unpacked where they are packed, by bits, names and parents."""

from typing import Any

import factories
import pytest
from factories import NOON, rows
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from registry.catalog import feature_sets
from registry.catalog.facts import effective
from registry.catalog.facts.refresh import refresh
from registry.catalog.features import FeatureSet
from registry.enums import SyncKind
from registry.hub.parameters import parameters_in_name, parameters_in_names
from registry.hub.records import ModelRecord, parse_record
from registry.sync import ingest, page
from registry.sync import state as sync_state


def parsed(name: str, dtypes: dict[str, int], **fields: Any) -> ModelRecord:
    safetensors = {"parameters": dtypes, "total": sum(dtypes.values())}
    record = parse_record({"id": name, "safetensors": safetensors, **fields})
    assert isinstance(record, ModelRecord)
    return record


def size(record: ModelRecord) -> tuple[int | None, str | None, int | None]:
    return record.parameters, record.parameters_source, record.stored_parameters


GPTQ = {"config": {"quantization_config": {"quant_method": "gptq", "bits": 4}}}


@given(
    st.integers(1, 400),
    st.sampled_from([("I32", 4, GPTQ), ("U32", 4, {"tags": ["mlx", "4-bit"]}),
                     ("U8", 4, {"tags": ["bitsandbytes", "4-bit"]}),
                     ("I32", 8, {"tags": ["gptq", "8-bit"]}),
                     ("U32", 3, {"tags": ["mlx", "3-bit"]}),
                     ("I32", 4, {"config": {"quantization": {"bits": 4, "group_size": 64}}})]),
    st.floats(0.02, 0.2),
)  # fmt: skip
def test_packed_weights_are_unpacked(
    billions: int, packing: tuple[str, int, dict[str, Any]], whole: float
) -> None:
    dtype, bits, fields = packing
    held = {"I32": 32, "U32": 32, "U8": 8}[dtype] // bits if bits != 3 else 32 / 3
    weights = billions * 10**9
    float_part = round(weights * whole)
    dtypes = {"F16": float_part, dtype: round((weights - float_part) / held)}
    name = f"org/Model-{billions}B-Instruct"
    record = parsed(name, dtypes, **fields)
    assert record.parameters == pytest.approx(weights, rel=0.01)
    assert record.stored_parameters == sum(dtypes.values())
    assert record.parameters_source == "packed"
    # The Hub counts some records unpacked already.
    dtypes[dtype] = weights - float_part
    assert size(parsed(name, dtypes, **fields)) == (weights, "safetensors", weights)


@pytest.mark.parametrize("name", ["org/Qwen3.8-27B-INT4", "org/Model-27B-w4a16", "org/Model-27B"])
def test_int4_is_no_small_model(name: str) -> None:
    record = parsed(name, {"I32": 3_200_000_000, "BF16": 1_500_000_000})
    assert record.parameters is not None
    assert record.parameters > 25e9
    assert record.stored_parameters == 4_700_000_000


@pytest.mark.parametrize(
    "dtypes",
    [{"BF16": 7 * 10**9}, {"F8_E4M3": 7 * 10**9, "BF16": 10**8}, {"BF16": 7 * 10**9, "I64": 400},
     {"BF16": 7 * 10**9, "U8": 10**8}],
)  # fmt: skip
def test_whole_weights_stay(dtypes: dict[str, int]) -> None:
    total = sum(dtypes.values())
    assert size(parsed("org/Model-70B-4bit", dtypes)) == (total, "safetensors", total)


def test_what_packed_weights_are_is_not_guessed() -> None:
    dtypes = {"I32": 10**9, "F16": 10**8}
    assert size(parsed("org/model-int4", dtypes)) == (None, None, 1_100_000_000)
    # Unpacked it would have more weights than any model.
    huge = {"I32": 10**12}
    for name in ("org/model-int4", "org/model"):
        assert size(parsed(name, huge)) == (10**12, "safetensors", 10**12)


def synced(connection: Connection, *records: dict[str, Any]) -> None:
    state = sync_state.SyncState(scope="test", kind=SyncKind.DELTA, as_of=NOON)
    listed = [{"_id": str(number), **each} for number, each in enumerate(records)]
    ingest.ingest(connection, state, [page.read(listed)], ingest.Incremental())


SIZES = "SELECT name, parameters, parameters_source FROM registry.models ORDER BY name"
PACKED = {"safetensors": {"parameters": {"I32": 10**9, "F16": 10**8}, "total": 1_100_000_000}}


def test_sizes_of_parents_and_siblings(connection: Connection) -> None:
    quantized = {"tags": ["base_model:quantized:org/base", "gptq", "4-bit"], **PACKED}
    synced(connection, {"id": "org/x-gptq", **quantized})
    # Nothing else says: as if nobody had unpacked them.
    assert rows(connection, SIZES) == [
        ("org/base", None, None),
        ("org/x-gptq", 8_100_000_000, "packed"),
    ]


def test_a_parent_that_comes_later_gives_its_size(connection: Connection) -> None:
    child = {"id": "org/x-int", "tags": ["base_model:quantized:org/base"], **PACKED}
    synced(connection, child)
    assert rows(connection, SIZES)[1] == ("org/x-int", None, None)
    whole = {"BF16": 8_030_261_248}
    base = {"id": "org/base", "safetensors": {"parameters": whole, "total": 8_030_261_248}}
    synced(connection, child, base)
    assert rows(connection, SIZES)[1] == ("org/x-int", 8_030_261_248, "parent")
    other = {"id": "org/bin-only", "tags": ["base_model:finetune:org/base"]}
    synced(connection, child, base, other)
    assert rows(connection, SIZES)[1] == ("org/bin-only", 8_030_261_248, "parent")


@pytest.mark.parametrize(
    ("named", "weights"),
    [("1.25B", (1_250_000_000, "packed")), ("1B", (10**9, "safetensors")),
     ("1.1B", (10**9, "safetensors")), ("1.2B", (1_250_000_000, "packed"))],
)  # fmt: skip
def test_of_two_counts_that_fit_a_name_the_nearer_counts(
    named: str, weights: tuple[int, str]
) -> None:
    """A quarter of the numbers is packed, two in one."""
    dtypes = {"F16": 750_000_000, "U8": 250_000_000}
    record = parsed(f"org/m-{named}", dtypes, tags=["bitsandbytes", "4-bit"])
    assert size(record) == (*weights, 10**9)


def test_an_unpacked_size_gives_way_to_a_parents(connection: Connection) -> None:
    child = {
        "id": "org/x-gptq", "tags": ["base_model:quantized:org/base", "gptq", "4-bit"], **PACKED,
    }  # fmt: skip
    synced(connection, child)
    whole = {"parameters": {"BF16": 1_080_000_000}, "total": 1_080_000_000}
    synced(connection, child, {"id": "org/base", "safetensors": whole})
    assert rows(connection, SIZES)[1] == ("org/x-gptq", 1_080_000_000, "parent")


def test_a_parent_that_the_files_agree_with_is_no_guess(connection: Connection) -> None:
    whole = {"BF16": 8_030_261_248}
    base = {"id": "org/base", "safetensors": {"parameters": whole, "total": 8_030_261_248}}
    child = {"id": "org/x", "tags": ["base_model:quantized:org/base", "gptq", "4-bit"], **PACKED}
    wrong = {"id": "org/y", "tags": ["base_model:quantized:org/base", "gptq", "4-bit"],
             "safetensors": {"parameters": {"I32": 9 * 10**9}, "total": 9 * 10**9}}  # fmt: skip
    synced(connection, base, child, wrong)
    assert rows(connection, SIZES)[1:] == [
        ("org/x", 8_030_261_248, "packed"),
        ("org/y", 8_030_261_248, "parent"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("org/OLMoE-1B-7B-0924", 7 * 10**9), ("org/Qwen3-30B-A3B", 30 * 10**9),
        ("org/x-1.5B-A3B", None), ("org/granite-3b-a800m", 3 * 10**9),
        ("org/Llama-4-Scout-17B-16E", None), ("org/Llama-4-Maverick-17B-128E-Instruct", None),
        ("org/Mixtral-8x7B-v0.1", 56 * 10**9), ("org/MoE-4x7b-24B", 28 * 10**9),
        ("org/llama-7B-32K", 7 * 10**9), ("org/x-7b-10B-tokens", 7 * 10**9),
        ("org/Qwen1.5-MoE-A2.7B", None),
    ],
)  # fmt: skip
def test_names_of_mixtures_of_experts(name: str, expected: int | None) -> None:
    assert parameters_in_name(name) == expected
    assert parameters_in_names(["org/a-1b", name, "org/c"]) == [10**9, expected, None]


@given(st.integers(1, 400), st.floats(0.001, 0.05), st.booleans())
def test_an_adapters_weights_are_no_models(billions: int, share: float, in_own: bool) -> None:  # noqa: FBT001
    base = f"org/Base-{billions}B"
    name = f"org/lora-{billions}b" if in_own else "org/lora"
    few = round(billions * 10**9 * share)
    tags = [f"base_model:adapter:{base}", "peft", "lora"]
    record = parsed(name, {"F32": few}, tags=tags)
    expected = (billions * 10**9, "name", few) if in_own else (None, None, few)
    assert size(record) == expected
    # Merged, it has the base's weights, whole or packed.
    for weights in (round(billions * 1e9 * 1.02), round(billions * 1e9 * 0.3)):
        assert parsed(name, {"BF16": weights}, tags=tags).parameters == weights
    assert parsed(name, {"F32": few}, tags=[f"base_model:finetune:{base}"]).parameters == few


def test_codes_of_16_bits_are_packed_too() -> None:
    dtypes = {"I16": 875_000_000, "F16": 130_000_000}
    assert size(parsed("org/Llama-2-7b-AQLM-2Bit", dtypes)) == (
        7_130_000_000, "packed", 1_005_000_000,
    )  # fmt: skip


def test_siblings_give_their_median(connection: Connection) -> None:
    base = factories.model(connection, "org/base", state="stub")
    for number, parameters in enumerate((7, 8, 90)):
        child = factories.model(
            connection, f"org/c{number}", parameters=parameters * 10**9,
            parameters_source="safetensors",
        )  # fmt: skip
        factories.edge(connection, f"org/c{number}", "org/base", "finetune")
    child = factories.model(connection, "org/bin")
    factories.edge(connection, "org/bin", "org/base", "finetune")
    adapter = factories.model(connection, "org/adapter")
    factories.edge(connection, "org/adapter", "org/base", "adapter")
    effective.apply(connection, [base, child, adapter])
    sizes = {name: each for name, *each in rows(connection, SIZES)}
    assert sizes["org/bin"] == [8 * 10**9, "siblings"]
    assert sizes["org/adapter"] == [None, None]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("outputs/checkpoint-500", None), ("./outputs/x", None), ("../x/y", None),
        ("/data/x", None),
        ("/root/models/x", None), ("~/x/y", None), ("C:\\models\\x", None),
        ("org/checkpoint-20", None),
        ("results/final", None), ("out/put/deep", None), ("models/llama", None),
        ("models--org--name", "org/name"), ("models--org--name/snapshots/0a1b", "org/name"),
        ("/root/.cache/huggingface/hub/models--org--name/snapshots/0a1b/", "org/name"),
        ("models--gpt2", "gpt2"), ("org/name/", "org/name"),
        ("out/final", None), ("autodl-tmp/qwen", None), ("org/outputs", None),
        ("pretrained/llama", None), ("N/A", None), ("none", None), ("org/final", "org/final"),
        ("https://huggingface.co/org/name.git", "org/name"),
        ("stepfun-ai/step-3", "stepfun-ai/step-3"),
        ("https://huggingface.co/org/name", "org/name"),
    ],
)  # fmt: skip
def test_paths_are_no_models(reference: str, name: str | None) -> None:
    record = parse_record({"id": "org/child", "cardData": {"base_model": reference}})
    assert isinstance(record, ModelRecord)
    named = [each.name for each in record.parents]
    assert named == ([name] if name and "/" in name else [])
    assert ("base_model" in record.unread) == (not named)


def test_an_upgrade_counts_weights_and_weighs_sizes(engine: Engine) -> None:
    with engine.begin() as connection:
        for name, dtypes, quantization in (
            ("org/Model-27B-int4", {"I32": 3_200_000_000, "BF16": 10**9}, "int4"),
            ("org/whole", {"BF16": 7_000_000_000}, None),
        ):
            key = factories.model(
                connection, name, parameters=sum(dtypes.values()), dtypes=dtypes,
                parameters_source="safetensors", quantization=quantization, tags=["chat"],
            )  # fmt: skip
            old = FeatureSet("0" * 31 + str(key), "{1:0.7,9:0.7}/16777216")
            feature_sets.replace_features(connection, {key: old})
        factories.stub(connection, "org/Stub-13b")
    for before, changed in (("0011", 0), ("0010", 2), ("0010", 0)):  # the stub had none
        with engine.begin() as connection:
            assert refresh(connection, before) == changed
    with engine.connect() as connection:
        sizes = rows(
            connection,
            "SELECT name, parameters, parameters_source, stored_parameters"
            "  FROM registry.models ORDER BY name",
        )
        assert factories.refresh_features(connection) == 0
    assert sizes == [
        ("org/Model-27B-int4", 26_600_000_000, "packed", 4_200_000_000),
        ("org/Stub-13b", 13_000_000_000, "name", None),
        ("org/whole", 7_000_000_000, "safetensors", 7_000_000_000),
    ]
