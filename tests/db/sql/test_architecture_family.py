import pytest
from factories import rows
from sqlalchemy import Connection


@pytest.mark.parametrize(
    ("model_type", "architectures", "family"),
    [
        ("llama", ["LlamaForCausalLM"], "llama"),
        ("llama4_text", [], "llama"),
        ("qwen2", [], "qwen"),
        ("qwen2_moe", ["Qwen2MoeForCausalLM"], "qwen"),
        ("qwen2_5_vl", [], "qwen"),
        ("gemma2", [], "gemma"),
        ("gemma3_text", [], "gemma"),
        ("deepseek_v3", [], "deepseek"),
        ("gpt2", [], "gpt"),
        ("gpt_neox", [], "gpt_neox"),
        ("mixtral", [], "mixtral"),
        ("xlm-roberta", [], "xlm-roberta"),
        ("rwkv5", [], "rwkv"),
        ("t5", ["T5ForConditionalGeneration"], "t5"),
        ("mt5", [], "mt5"),
        ("m2m_100", [], "m2m_100"),
        ("Phi3", [], "phi"),
        (None, ["LlamaForCausalLM"], "llama"),
        (None, ["Qwen2ForCausalLM", "LlamaForCausalLM"], "qwen"),
        (None, ["DeepseekV3ForCausalLM"], "deepseek"),
        (None, ["GPT2LMHeadModel"], "gpt"),
        (None, ["BertModel"], "bert"),
        (None, ["T5ForConditionalGeneration"], "t5"),
        (None, ["ForCausalLM"], None),
        (None, [], None),
        (None, None, None),
        ("", ["LlamaForCausalLM"], None),
    ],
)
def test_the_version_is_left_out(
    connection: Connection,
    model_type: str | None,
    architectures: list[str] | None,
    family: str | None,
) -> None:
    assert rows(
        connection,
        "SELECT store.architecture_family(:model_type, cast(:architectures AS text[]))",
        model_type=model_type,
        architectures=architectures,
    ) == [(family,)]
