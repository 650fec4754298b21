"""Spellings of models' names by providers."""

import pytest

from registry.catalog.prices.spellings import Spelt, is_vague, key, maker_of, plain


@pytest.mark.parametrize(
    ("name", "vendor", "own"),
    [
        ("us.anthropic.claude-3-haiku-20240307-v1:0", "anthropic", "claude-3-haiku-20240307"),
        ("us-gov-west-1/anthropic.claude-sonnet-5", "anthropic", "claude-sonnet-5"),
        ("invoke/anthropic.claude-3-5-sonnet-20240620-v2:0", "anthropic",
         "claude-3-5-sonnet-20240620"),
        ("claude-sonnet-4@20250514", "", "claude-sonnet-4-20250514"),
        ("claude-opus-4-7@default", "", "claude-opus-4-7"),
        ("anthropic--claude-3.5-sonnet", "anthropic", "claude-3.5-sonnet"),
        ("openai.gpt-oss-120b-1:0", "openai", "gpt-oss-120b"),
        ("workers-ai/@cf/meta/llama-3-8b-instruct", "meta", "llama-3-8b-instruct"),
        ("hf:zai-org/GLM-4.7", "zai-org", "glm-4.7"),
        ("accounts/fireworks/models/llama-v3p1-70b-instruct", "", "llama-3.1-70b-instruct"),
        ("accounts/fireworks/models/qwen2p5-coder-3b", "", "qwen2.5-coder-3b"),
        ("Qwen/Qwen3-32B-TEE", "qwen", "qwen3-32b"),
        ("TEE/deepseek-v3.2", "", "deepseek-v3.2"),
        ("meta-llama/llama-3.1-70b-instruct:free", "meta-llama", "llama-3.1-70b-instruct"),
        ("meta/llama-3.3-70b-instruct-maas", "meta", "llama-3.3-70b-instruct"),
        ("databricks-gpt-5-1", "", "gpt-5-1"),
        ("openai/chat-completion/models/gpt-oss-20b", "openai", "gpt-oss-20b"),
        # What is no more than a version of the interface would be left of these.
        ("anthropic.claude-v2:1", "anthropic", "claude-v2:1"),
        ("mistral.mistral-7b-instruct-v0:2", "mistral", "mistral-7b-instruct-v0:2"),
        # Other weights, or another behaviour.
        ("zai-org/GLM-5.1-FP8", "zai-org", "glm-5.1-fp8"),
        ("deepseek/deepseek-v3.2:thinking", "deepseek", "deepseek-v3.2:thinking"),
        ("meta-llama/Llama-3.1-8B-Instruct-Turbo", "meta-llama", "llama-3.1-8b-instruct-turbo"),
        ("unsloth/Llama-3.2-3B-Instruct", "unsloth", "llama-3.2-3b-instruct"),
    ],
)  # fmt: skip
def test_only_what_leaves_a_model_as_it_is_is_removed(name: str, vendor: str, own: str) -> None:
    assert plain(name) == Spelt(vendor, own)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Meta-Llama-3.1-70B-Instruct", "llama3-1-70b-instruct"),
        ("Meta-Llama-3_1-70B-Instruct", "Llama-3.1-70B-Instruct"),
        ("claude-3.5-sonnet", "claude-3-5-sonnet"),
        ("Qwen2.5-7B-Instruct", "qwen-2.5-7b-instruct"),
        ("Llama-2-7b-chat-hf", "llama-2-7b-chat"),
        ("openai-gpt-4o", "gpt-4o"),
        ("google-gemma-3-27b-it", "gemma-3-27b-it"),
    ],
)
def test_spellings_of_one_model_have_one_key(a: str, b: str) -> None:
    assert key(a) == key(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("llama-3.1-8b-instruct", "llama-3.1-70b-instruct"),
        ("llama-3.1-8b-instruct", "llama-3.1-8b"),
        ("llama-3.1-8b-instruct", "llama-3.1-8b-instruct-fp8"),
        ("mistral-7b-instruct-v0.1", "mistral-7b-instruct-v0.2"),
        ("gpt-4o", "gpt-40"),
        ("gpt-4o-2024-05-13", "gpt-4o"),
        ("claude-sonnet-4", "claude-4-sonnet"),
        ("deepseek-v3.1", "deepseek-v31"),
        ("qwen3-30b-a3b", "qwen3-30b-a3b-thinking"),
    ],
)
def test_other_models_have_other_keys(a: str, b: str) -> None:
    assert key(a) != key(b)


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("gpt-4o", "openai"),
        ("o1", "openai"),
        ("o3-mini", "openai"),
        ("x-ai/grok-4", "xai"),
        ("meta/llama-3.1-8b-instruct", "meta"),
        ("llama-3.1-nemotron-70b-instruct", "nvidia"),
        ("mixtral-8x7b-instruct", "mistral"),
        ("unsloth/llama-3.1-8b-instruct", None),
        ("phind-codellama-34b", None),
        ("o1labs-model", None),
        ("auto", None),
    ],
)
def test_the_maker_is_that_of_the_organisation_else_of_the_first_word(
    name: str, maker: str | None
) -> None:
    assert maker_of(plain(name)) == maker


@pytest.mark.parametrize(
    "name",
    [
        "llama-3.1-70b", "gemma-3-27b", "mistral-7b-v0.3", "llama-4-scout-17b-16e", "qwen2.5-72b",
        "mixtral-8x7b", "gemma-3n-e4b",
    ],
)  # fmt: skip
def test_a_size_at_the_end_may_mean_the_base_model(name: str) -> None:
    assert is_vague(key(name))


@pytest.mark.parametrize(
    "name",
    [
        "llama-3.1-70b-instruct", "gemma-3-27b-it", "qwen3-32b", "qwen3-235b-a22b", "gpt-oss-120b",
        "deepseek-r1-distill-llama-70b", "gpt-4o", "mistral-7b-instruct-v0.2", "llama-2-7b-chat",
        "phi-4", "glm-4.5-air",
    ],
)  # fmt: skip
def test_other_names_are_of_one_model(name: str) -> None:
    assert not is_vague(key(name))
