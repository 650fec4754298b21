"""Whose result a file of lm-eval is: by what it says, in every form, never by where it lies."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from registry.errors import UnreadableFileError
from registry.evaluations.formats import lm_eval
from registry.evaluations.formats.lm_eval.model import StatedModel, arguments, flat
from registry.evaluations.importer import ImportOptions, import_files
from registry.evaluations.records import Notes, Run

WORDS = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,8}", fullmatch=True).filter(
    lambda word: word.lower() not in ("none", "null", "true", "false", "nan", "inf", "infinity")
)
NAMES = st.builds("{}/{}".format, WORDS, WORDS)
KEYS = st.from_regex(r"arg_[a-z]{1,5}", fullmatch=True).filter(
    lambda key: key not in ("arg_key", "arg_token", "arg_auth")  # secrets are kept out
)
NESTED = st.dictionaries(KEYS, st.one_of(WORDS, st.integers(0, 99), st.booleans()), min_size=1)
VALUES = st.one_of(WORDS, st.integers(0, 99), NESTED, st.lists(st.integers(0, 9), min_size=1))
ARGUMENTS = st.dictionaries(KEYS, VALUES, max_size=4)


def pairs(stated: Mapping[str, object]) -> str:
    """Write arguments as people type them."""
    return ",".join(
        f"{key}={json.dumps(value) if isinstance(value, dict | list) else value}"
        for key, value in stated.items()
    )


FORMS: Mapping[str, Any] = {
    "object": dict,
    "pairs": pairs,
    "list": lambda stated: pairs(stated).split(",") if "{" not in pairs(stated) else dict(stated),
    "json": lambda stated: json.dumps(dict(stated)),
    "python": lambda stated: str(dict(stated)),
}


def stated(model_args: object, **content: object) -> StatedModel:
    return StatedModel({"config": {"model": "hf", "model_args": model_args}, **content})


def results(score: float = 0.5, **changes: Any) -> dict[str, Any]:
    return {"results": {"t": {"acc,none": score}}, "versions": {"t": 1}, **changes}


def read(path: Path) -> list[Run]:
    return [run for block in lm_eval.read(path, Notes()) for run in block.runs]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=30)
@given(name=NAMES, dtype=st.sampled_from(["bfloat16", "float16"]), others=ARGUMENTS)
def test_all_forms_of_arguments_say_the_same(
    form: str, name: str, dtype: str, others: dict[str, Any]
) -> None:
    content = {"pretrained": name, "dtype": dtype, **others}
    model = stated(FORMS[form](content), model_name="k3x9q0ab")
    assert (model.name, model.precision, model.base, model.variant) == (name, dtype, None, None)
    assert model.details == {
        key: text for key, text in flat(others) if text not in ("False", "None")
    }
    # Nested ones are part of the setup.
    nested = {key: value for key, value in others.items() if isinstance(value, dict)}
    for key, value in nested.items():
        assert all(
            f"{key}.{inner}" in model.details for inner in value if value[inner] is not False
        )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", ["peft", "delta", "lora_local_path", "lora_path", "adapter_path"])
@settings(max_examples=20)
@given(base=NAMES, adapter=NAMES, others=ARGUMENTS)
def test_an_adapter_is_another_model_than_its_base(
    form: str, key: str, base: str, adapter: str, others: dict[str, Any]
) -> None:
    model = stated(FORMS[form]({"pretrained": base, **others, "enable_lora": True, key: adapter}))
    assert (model.name, model.base) == (adapter, base)
    nothing = stated(FORMS[form]({"pretrained": base, **others, key: "None"}))
    assert (nothing.name, nothing.base) == (base, None)


def test_an_adapter_that_is_not_enabled_is_none() -> None:
    model = stated("pretrained=a/b,enable_lora=False,lora_local_path=x/y")
    assert (model.name, model.base) == ("a/b", None)


@settings(max_examples=30)
@given(name=NAMES, folder=WORDS, branch=WORDS)
def test_parts_of_a_repository_are_not_its_plain_model(name: str, folder: str, branch: str) -> None:
    assume(branch != "main")
    model = stated(f"pretrained={name},subfolder={folder},revision={branch}")
    assert (model.name, model.revision, model.variant) == (name, branch, f"subfolder={folder}")


@pytest.mark.parametrize(
    ("model_args", "gen_kwargs", "variant"),
    [
        ("pretrained=a/b,enable_thinking=False", None, "enable_thinking=False"),
        ("pretrained=a/b,enable_thinking=True", None, None),
        ("model=o3", {"reasoning_effort": "high"}, "reasoning_effort=high"),
        ("model=o3,reasoning_effort=low", "temperature=0", "reasoning_effort=low"),
        (
            {"pretrained": "a/b", "chat_template_args": {"enable_thinking": False}},
            'best_of=4,x={"a": [1, 2]}',
            "enable_thinking=False, best-of-4",
        ),
        ("pretrained=a/b", "best_of=1,do_sample=True", None),
        ("pretrained=a/b,steer_path=steer.csv", None, "steer_path=steer.csv"),
        ("pretrained=a/b,gguf_file=b.Q2_K.gguf", None, "gguf_file=b.Q2_K.gguf"),
        ("pretrained=a/b,thinking_budget=1024", None, "thinking_budget=1024"),
        ("model=a/b", {"thinking": {"budget_tokens": 64}}, "budget_tokens=64"),
        (
            'model=a/b,lora_modules=[{"name":"l"}]',
            None,
            'lora_modules=[{"name": "l"}]',
        ),
    ],
)
def test_systems_are_variants(model_args: object, gen_kwargs: object, variant: str | None) -> None:
    config = {"model_args": model_args, "gen_kwargs": gen_kwargs}
    assert StatedModel({"config": config}).variant == variant


@pytest.mark.parametrize(
    ("text", "variant"),
    [("Be concise.", "Be concise."), ("x" * 80, "abcdefabcdef"), (None, None)],
)
def test_an_instruction_before_all_prompts_is_a_variant(
    text: str | None, variant: str | None
) -> None:
    sha = None if text is None else "abcdef" * 10
    model = stated("pretrained=a/b", system_instruction=text, system_instruction_sha=sha)
    assert model.variant == (variant and f"system_instruction={variant}")


@pytest.mark.parametrize("key", ["lora_path", "peft", "adapter_path"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_nested_adapter_is_the_model(form: Any, key: str) -> None:
    model = stated(form({"pretrained": "a/b", "request": {"name": "l", key: "a/lora"}}))
    assert (model.name, model.base) == ("a/lora", "a/b")


def test_a_folder_of_the_cache_states_the_revision() -> None:
    place = "/root/.cache/huggingface/hub/models--a--b/snapshots"
    assert stated(f"pretrained={place}/{'0a' * 20}").revision == "0a" * 20
    assert stated(f"pretrained=a/b,peft={place}/{'0a' * 20}").revision == "0a" * 20
    assert stated(f"pretrained={place}/main").revision is None


def test_what_changes_no_answer_makes_no_other_run() -> None:
    neutral = (
        "tensor_parallel_size=2,device_map={'': 0},gpu_memory_utilization=0.9,base_url=http://h?a=b"
    )
    assert stated(f"pretrained=a/b,{neutral}").details == {}
    secrets = "api_key=sk,token=hf,hf_token=x,headers={'authorization': 'Bearer x'},auth_token=y"
    model = stated(f"pretrained=a/b,{secrets},add_bos_token=True")
    assert model.details == {"add_bos_token": "True"}


@pytest.mark.parametrize(
    "text", ["a={b,pretrained=x/y", "pretrained=x/y,a=}]", "pretrained=x/y,a={'b", "pretrained=x/y"]
)
def test_brackets_need_not_match(text: str) -> None:
    assert arguments(text)
    assert stated(text).name in ("x/y", "")


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(
    inner) | st.dictionaries(st.text(), inner), max_leaves=8))  # fmt: skip
def test_any_arguments_can_be_read(value: object) -> None:
    model = stated(value)
    assert isinstance(model.name, str)
    assert all(isinstance(text, str) for text in model.details.values())


@settings(max_examples=30)
@given(folder=WORDS, identity=st.from_regex(r"[a-z0-9]{8}", fullmatch=True))
def test_neither_folders_nor_made_up_names_are_models(folder: str, identity: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / folder / "results_2026-01-21T03-44-18.458309.json"
        path.parent.mkdir()
        content = results(
            config={"model": "local-completions", "model_args": "base_url=http://h/v1"},
            model_name=identity,
            model_name_sanitized=identity,
        )
        path.write_text(json.dumps(content))
        assert [run.model for run in read(path)] == [""]
        samples = path.with_name("samples_t_2026-01-21T03-44-18.458309.jsonl")
        row = {"doc_id": 0, "doc": {"q": 1}, "resps": [["1"]], "acc": 1.0, "metrics": ["acc"]}
        samples.write_text(json.dumps(row))
        assert [run.model for run in read(samples)] == [""]
        path.unlink()
        assert [run.model for run in read(samples)] == [""]


@pytest.mark.parametrize(
    ("config", "content", "name"),
    [
        ({"model": "acme/loaded"}, {}, "acme/loaded"),
        ({"model": "gpt2"}, {}, "gpt2"),
        ({"model": "hf", "model_args": ""}, {"model_name": "acme/named"}, "acme/named"),
        ({"model": "hf"}, {"model_name_sanitized": "acme__named"}, "acme__named"),
        ({"model": "hf", "model_args": "model_version=acme/vision"}, {}, "acme/vision"),
    ],
)
def test_other_places_of_the_name(
    config: dict[str, Any], content: dict[str, Any], name: str
) -> None:
    assert StatedModel({"config": config, **content}).name == name


def imported(engine: Engine, path: Path, **options: Any) -> list[str | None]:
    return [each.error for each in import_files(engine, [path], ImportOptions(**options))]


def test_a_file_without_a_model_is_refused_until_it_is_named(
    engine: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "acme__x" / "results.json"
    path.parent.mkdir()
    path.write_text(json.dumps(results(config={"model": "hf", "model_args": ""})))
    (error,) = imported(engine, path)
    assert error == f"{path}: it does not state which model was evaluated: name it by --model NAME."
    with engine.connect() as connection:
        assert stored(connection) == []
    assert imported(engine, path, model="acme/y") == [None]
    with engine.connect() as connection:
        assert stored(connection) == [("acme/y", 0.5)]


def stored(connection: Connection) -> list[tuple[str, float]]:
    query = "SELECT model, score FROM registry.runs ORDER BY model"
    return [tuple(row) for row in connection.exec_driver_sql(query)]


@pytest.mark.parametrize("adapter_first", [True, False])
def test_the_score_of_an_adapter_does_not_stand_under_its_base(
    engine: Engine, tmp_path: Path, *, adapter_first: bool
) -> None:
    base = {"config": {"model_args": "pretrained=acme/b"}}
    tuned = {
        "config": {"model_args": "pretrained=acme/b,enable_lora=True,lora_local_path=/loras/x"}
    }
    files = {"results_b.json": results(0.4, **base), "results_t.json": results(0.8, **tuned)}
    for number, name in enumerate(sorted(files, reverse=adapter_first)):
        files[name]["date"] = 1_750_000_000 + number
        (tmp_path / name).write_text(json.dumps(files[name]))
    assert imported(engine, tmp_path) == [None, None]
    with engine.connect() as connection:
        assert stored(connection) == [("/loras/x", 0.8), ("acme/b", 0.4)]


def test_errors_are_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("{")
    with pytest.raises(UnreadableFileError):
        read(path)


def test_long_and_nested_arguments_make_other_runs(tmp_path: Path) -> None:
    """Texts that are too long to store distinguish runs as well."""
    path = tmp_path / "results.json"
    setups = []
    for number in (1, 2):
        for config in (
            {"model_args": {"pretrained": "a/b", "chat_template": "x" * 300 + str(number)}},
            {"model_args": "pretrained=a/b", "gen_kwargs": {"stop": {"at": number}}},
            {"model_args": "pretrained=a/b", "gen_kwargs": "until=" + "y" * 300 + str(number)},
        ):
            path.write_text(json.dumps(results(config=config)))
            setups += [run.setup.fingerprint() for run in read(path)]
    assert len(set(setups)) == len(setups) == 6
