import pytest

from registry.hub.mergekit import merged_models

SLICES = {
    "slices": [
        {"sources": [{"model": "acme/a", "layer_range": [0, 16]}, {"model": "acme/b"}]},
        {"base_model": "acme/c", "sources": [{"model": "acme/a"}]},
    ],
    "merge_method": "slerp",
    "base_model": "acme/base",
}

YAML = """\
models:
  - model: acme/a@main   # a revision
    parameters: {weight: 0.5}
  - model: acme/b+acme/lora
merge_method: dare_ties
base_model: acme/base
dtype: bfloat16
---
name: second
models:
  - model: acme/c
"""


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({"merge_config": SLICES}, ["acme/base", "acme/a", "acme/b", "acme/c"]),
        ({"mergekit_config": YAML}, ["acme/base", "acme/a", "acme/b", "acme/lora", "acme/c"]),
        ({"yaml": "experts: [{source_model: acme/a}]\nbase_model: x/y"}, ["x/y", "acme/a"]),
        ({"mergekit": {"shared_experts": [{"source_model": "acme/a"}]}}, ["acme/a"]),
        ({"config": {"modules": {"text": SLICES}}}, ["acme/base", "acme/a", "acme/b", "acme/c"]),
        (SLICES, ["acme/a", "acme/b", "acme/c"]),  # the card's own base_model is read elsewhere
        (
            {
                "merge": {
                    "models": [
                        {"model": {"model": {"path": "acme/a", "revision": "v1"}, "lora": "b/l"}},
                        {"model": {"model": "acme/c"}},
                    ]
                }
            },
            ["acme/a", "b/l", "acme/c"],
        ),
    ],
)
def test_references_are_found(card: dict[str, object], expected: list[str]) -> None:
    assert merged_models(card) == expected


@pytest.mark.parametrize(
    "card",
    [
        {},
        {"base_model": "acme/a"},
        {"merge": True, "config": {"base_model": "acme/a"}, "yaml": "just text"},
        {"models": ["acme/a", "acme/b"]},  # not mergekit's: its models are mappings
        {"merge_config": {"models": [{"model": "./local"}, {"model": "/abs/path"}]}},
        {"merge_config": {"models": [{"model": "D:\\a"}, {"model": "../b/c"}, {"model": 7}]}},
        {"merge_config": {"models": {"model": "acme/a"}, "slices": [{"sources": 3}, 4]}},
        {"merge_config": {"models": [{"model": {"model": {"path": ["acme/a"]}}}]}},
        {"yaml": "models: [{model: acme/a}"},
        {"yaml": "? [a]\n: b"},
        {"yaml": "[" * 10_000},
        {"yaml": "models: [{model: acme/a}]" + " " * 20_000},
    ],
)
def test_anything_else_is_ignored(card: dict[str, object]) -> None:
    assert merged_models(card) == []


def test_aliases_that_unfold_without_end_are_not_read() -> None:
    lines = ["s: &s [" + ",".join(["{model: acme/a}"] * 300) + "]"]
    lines += ["l: &l [" + ",".join(["{sources: *s}"] * 300) + "]"]
    lines += ["modules: {" + ",".join(f"m{n}: {{slices: *l}}" for n in range(200)) + "}"]
    lines += ["---", "models: [{model: acme/behind}]"]  # 18 million steps further on
    assert merged_models({"yaml": "\n".join(lines)}) == []
