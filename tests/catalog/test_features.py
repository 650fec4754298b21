import math
from datetime import UTC, datetime

import pytest
from factories import model, refresh_features
from generated_hub.models import generate
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from registry.catalog import feature_sets, features
from registry.catalog.features import FeatureSet, Traits, dimension, feature_set
from registry.demo.models import models as sample_models
from registry.enums import SyncKind
from registry.sync import ingest, page
from registry.sync import state as sync_state

DAY = datetime(2026, 6, 1, tzinfo=UTC)


def entries(found: FeatureSet) -> dict[int, float]:
    inside = found.vector[1 : found.vector.index("}")]
    pairs = (entry.split(":") for entry in inside.split(","))
    return {int(place): float(value) for place, value in pairs}


def test_the_vector_is_the_view_of_the_features(connection: Connection) -> None:
    state = sync_state.SyncState(scope="test", kind=SyncKind.DELTA, as_of=DAY)
    records = [*sample_models(DAY.date()), *generate(400)]
    ingest.ingest(connection, state, [page.read(records)], ingest.Incremental())
    shown: dict[str, dict[int, float]] = {}
    for name, feature, value in connection.execute(
        text("SELECT model, feature, value FROM registry.features")
    ):
        size = feature == "parameters"
        shown.setdefault(name, {})[features.SIZE if size else dimension(feature)] = value
    stored = connection.execute(
        text("""
        SELECT m.name, s.features::text
          FROM store.models m JOIN store.model_features USING (model_id)
          JOIN store.feature_sets s USING (feature_set_id)""")
    ).all()
    assert {name for name, *_ in stored} == set(shown)
    assert len(stored) > 700
    for name, vector in stored:
        values = entries(FeatureSet("", vector))
        size = shown[name].pop(features.SIZE, None)
        sized = {place: value for place, value in values.items() if place <= features.SIZES}
        others = {place: value for place, value in values.items() if place > features.SIZES}
        assert others.keys() == shown[name].keys()
        share = 0 if size is None else features.SIZE_SHARE if others else 1
        for value in others.values():
            assert value == pytest.approx(math.sqrt((1 - share) / len(others)), rel=1e-4)
        assert sum(value**2 for value in sized.values()) == pytest.approx(share, abs=1e-4)
        if size is not None:
            # The middle of its dimensions, which are half a power of ten apart, is the size.
            middle = sum(place * value for place, value in sized.items()) / sum(sized.values())
            assert middle - 2 == pytest.approx(2 * 12 * math.log10(2) * size, abs=0.01)
    # What was computed from records is what is computed from what is stored.
    assert refresh_features(connection) == 0


@given(
    st.integers(-5, 10**15) | st.none(),
    st.text(max_size=12) | st.none(),
    st.lists(st.text(max_size=12), max_size=3),
    st.text(max_size=12) | st.none(),
    st.lists(st.text(max_size=12), max_size=30),
)
def test_every_vector_has_length_one(
    parameters: int | None,
    model_type: str | None,
    architectures: list[str],
    task: str | None,
    tags: list[str],
) -> None:
    found = feature_set(Traits(parameters, model_type, architectures, task, tags))
    if found is None:
        return
    values = entries(found)
    assert sum(value**2 for value in values.values()) == pytest.approx(1, abs=1e-4)
    assert list(values) == sorted(values)
    assert feature_set(Traits(parameters, model_type, architectures, task, tags[::-1])) == found


@pytest.mark.parametrize(
    ("model_type", "architecture"),
    [
        ("qwen2_moe", None), ("deepseek_v3", None), ("deberta-v2", None), ("t5", None),
        ("gpt_neox", "GPTNeoXForCausalLM"), (None, "LlamaForCausalLM"), (None, "GPT2LMHeadModel"),
        (None, "BertModel"), (None, "Qwen2ForCausalLM"), (None, "DebertaV2Model"), ("", None),
        (None, "Model"), (None, "123"), (None, None),
    ],
)  # fmt: skip
def test_architecture_families_are_those_of_the_view(
    connection: Connection, model_type: str | None, architecture: str | None
) -> None:
    in_sql = connection.scalar(
        text("SELECT store.architecture_family(:type, :classes)"),
        {"type": model_type, "classes": [architecture] if architecture else []},
    )
    assert features.architecture_family(model_type, architecture) == in_sql


def test_nothing_known_is_no_vector() -> None:
    assert feature_set(Traits(None, None, (), None, ["license:mit", "region:us"])) is None
    assert feature_set(Traits(0, None, (), None, ())) is None


def test_features_that_were_lost_are_taken_away(connection: Connection) -> None:
    model(connection, "org/a", tags=["chat"], parameters=7_000_000_000)
    assert refresh_features(connection) == 1
    assert refresh_features(connection) == 0
    connection.execute(text("UPDATE store.models SET tags = '{}', parameters = NULL"))
    assert refresh_features(connection) == 1
    assert connection.scalar(text("SELECT count(*) FROM store.model_features")) == 0
    assert feature_sets.delete_unused_sets(connection) == 1
    assert connection.scalar(text("SELECT count(*) FROM store.feature_sets")) == 0


def cosine(a: FeatureSet | None, b: FeatureSet | None) -> float:
    assert a is not None
    assert b is not None
    one, other = entries(a), entries(b)
    return sum(value * other.get(place, 0) for place, value in one.items())


@given(
    st.floats(6, 12.5),
    st.floats(0, 4),
    st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True),
)
def test_the_further_sizes_are_apart_the_less_alike(
    power: float, distance: float, tags: list[str]
) -> None:
    sized = [
        feature_set(Traits(round(10**each), "llama", (), "text-generation", tags))
        for each in (power, power + distance)
    ]
    alike = cosine(*sized)
    least = 1 - features.SIZE_SHARE
    assert least - 1e-6 <= alike <= 1 + 1e-6
    if distance < 0.1:
        assert alike > 1 - 0.2 * features.SIZE_SHARE
    if distance >= 0.75 and power + distance <= 12.5:
        assert alike < least + 0.25 * features.SIZE_SHARE
    if distance >= 1.0 and power + distance <= 12.5:
        assert alike < least + 0.05 * features.SIZE_SHARE


def test_sizes_alone_can_be_compared() -> None:
    def of(parameters: float) -> FeatureSet | None:
        return feature_set(Traits(round(parameters), None, (), None, ()))

    assert cosine(of(7e9), of(7.24e9)) > 0.98
    assert cosine(of(7e9), of(72e9)) < 0.05
    assert cosine(of(1e15), of(1e17)) > 0.99
