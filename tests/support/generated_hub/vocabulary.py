"""Words and frequencies that generated models are made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """What a family of models is for: task, library, and architectures as `type:Class` pairs."""

    weight: float
    task: str | None
    library: str
    architectures: tuple[str, ...]
    sizes: tuple[int, ...]


_LLAMA = 8_030_261_248
LANGUAGE_SIZES = (
    _LLAMA,
    7_241_732_096,
    7_615_616_512,
    1_235_814_400,
    3_212_749_824,
    494_032_768,
    1_543_714_304,
    3_085_938_688,
    14_770_033_664,
    32_763_876_352,
    70_553_706_496,
    124_439_808,
    2_614_341_888,
    12_247_782_400,
    23_572_403_200,
)
_ENCODER = (66_362_880, 109_482_240, 124_645_632, 278_043_648, 335_141_888, 22_713_216)
_VISION = (86_567_656, 304_351_976, 22_050_664, 5_717_416)
_SPEECH = (37_760_640, 72_593_920, 241_734_912, 763_857_920, 1_543_490_560, 94_371_712)
_LANGUAGE = (
    "llama:LlamaForCausalLM",
    "qwen2:Qwen2ForCausalLM",
    "mistral:MistralForCausalLM",
    "gemma2:Gemma2ForCausalLM",
    "gpt2:GPT2LMHeadModel",
    "phi3:Phi3ForCausalLM",
    "qwen3:Qwen3ForCausalLM",
    "mixtral:MixtralForCausalLM",
    "gpt_neox:GPTNeoXForCausalLM",
)


def _words(text: str) -> list[str]:
    return text.split()


def _encoder(head: str) -> tuple[str, ...]:
    return tuple(
        f"{kind}:{name}For{head}"
        for kind, name in (
            ("bert", "Bert"),
            ("distilbert", "DistilBert"),
            ("roberta", "Roberta"),
            ("xlm-roberta", "XLMRoberta"),
            ("deberta-v2", "DebertaV2"),
        )
    )


def _kinds(
    weight: float, tasks: str, library: str, kinds: str, sizes: tuple[int, ...]
) -> list[Kind]:
    names = tasks.split()
    return [Kind(weight, task, library, tuple(kinds.split()), sizes) for task in names]


_T5 = "t5:T5ForConditionalGeneration bart:BartForConditionalGeneration"
_VIT = "vit:ViTModel swin:SwinModel dinov2:Dinov2Model"
_SIGHT = "llava:LlavaForConditionalGeneration qwen2_vl:Qwen2VLForConditionalGeneration"
KINDS = (
    Kind(46, "text-generation", "transformers", _LANGUAGE, LANGUAGE_SIZES),
    Kind(9, None, "transformers", _LANGUAGE, LANGUAGE_SIZES),
    Kind(9, "text-classification", "transformers", _encoder("SequenceClassification"), _ENCODER),
    Kind(3, "token-classification", "transformers", _encoder("TokenClassification"), _ENCODER),
    Kind(2, "question-answering", "transformers", _encoder("QuestionAnswering"), _ENCODER),
    Kind(2, "fill-mask", "transformers", _encoder("MaskedLM"), _ENCODER),
    *_kinds(2.5, "feature-extraction", "transformers", "bert:BertModel", _ENCODER),
    *_kinds(2.5, "sentence-similarity", "sentence-transformers", "bert:BertModel", _ENCODER),
    *_kinds(0.8, "summarization translation", "transformers", _T5, (60_506_624, 222_903_552)),
    *_kinds(6, "text-to-image", "diffusers", "", (859_520_964, 2_567_463_684)),
    *_kinds(3, "automatic-speech-recognition", "transformers", "whisper:WhisperModel", _SPEECH),
    *_kinds(1, "audio-classification", "transformers", "wav2vec2:Wav2Vec2Model", _SPEECH),
    *_kinds(0.7, "text-to-speech text-to-audio", "transformers", "vits:VitsModel", _SPEECH),
    *_kinds(3, "image-classification", "transformers", _VIT, _VISION),
    *_kinds(0.8, "object-detection image-segmentation", "transformers", _VIT, _VISION),
    *_kinds(2, "image-text-to-text", "transformers", _SIGHT, LANGUAGE_SIZES),
    *_kinds(4, "reinforcement-learning", "stable-baselines3", "", ()),
    *_kinds(1, "robotics", "lerobot", "", (51_597_190,)),
    *_kinds(0.3, "tabular-classification tabular-regression", "sklearn", "", ()),
    *_kinds(
        0.1,
        """zero-shot-classification table-question-answering text-ranking depth-estimation
        image-to-text image-to-image visual-question-answering document-question-answering
        video-classification text-to-video image-to-video video-text-to-text
        zero-shot-image-classification zero-shot-object-detection mask-generation
        image-feature-extraction unconditional-image-generation keypoint-detection
        audio-to-audio voice-activity-detection audio-text-to-text text-to-3d image-to-3d
        time-series-forecasting graph-ml any-to-any visual-document-retrieval""",
        "transformers",
        _VIT,
        _VISION,
    ),
)
"""The Hub's tasks, most of all text generation; models of the second kind state no task."""

LICENSES = (
    ("apache-2.0", 33),
    (None, 30),
    ("mit", 12),
    ("other", 5),
    ("llama3.1", 3),
    ("llama3", 3),
    ("llama2", 2.5),
    ("gemma", 2.5),
    ("cc-by-nc-4.0", 2.5),
    ("creativeml-openrail-m", 2),
    ("llama3.2", 1.5),
    ("openrail", 1),
    ("cc-by-4.0", 1),
    ("cc-by-nc-sa-4.0", 0.7),
    ("cc-by-sa-4.0", 0.5),
    ("gpl-3.0", 0.4),
    ("bsd-3-clause", 0.2),
    ("unknown", 0.2),
)
LANGUAGES = _words("""
en zh fr de es ja ko ru it pt ar hi vi nl pl tr id th fa sv uk cs ro hu fi da no el he
bg ca bn ta te ur ms sk hr lt sl et lv sr gl eu ka az kk uz sw am yo ha ig zu af is cy ga mt""")
TOPICS = _words("""
trl sft generated_from_trainer unsloth dpo chat code math conversational merge mergekit
finetune reasoning instruct roleplay medical legal lora grpo axolotl uncensored abliterated vision
rag function-calling autotrain llama-factory moe finance science biology education translation
synthetic storytelling safety multilingual agent tool-use long-context distillation""")
FINETUNE_SUFFIXES = _words(
    "Instruct Chat SFT DPO v2 it Coder Math v3 Reasoning RP ORPO KTO Preview"
)
MERGE_METHODS = _words("slerp ties dare_ties linear model_stock della passthrough sce")
QUANTIZATIONS = _words("GGUF GGUF i1-GGUF AWQ GPTQ 4bit 8bit exl2 bnb-4bit FP8 mlx-4bit w4a16")
TEMPLATE = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
    "{% set system_message = 'You are a helpful assistant.' %}{% endif %}"
    "{{ '<|im_start|>system\n' + system_message + '<|im_end|>\n' }}"
    "{% for message in loop_messages %}{{'<|im_start|>' + message['role'] + '\n' "
    "+ message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
EVALUATIONS = (
    ("IFEval (0-Shot)", "wis-k/instruction-following-eval", "inst_level_strict_acc", 0),
    ("BBH (3-Shot)", "SaylorTwift/bbh", "acc_norm", 3),
    ("MATH Lvl 5 (4-Shot)", "lighteval/MATH-Hard", "exact_match", 4),
    ("GPQA (0-shot)", "Idavidrein/gpqa", "acc_norm", 0),
    ("MuSR (0-shot)", "TAUR-Lab/MuSR", "acc_norm", 0),
    ("MMLU-PRO (5-shot)", "TIGER-Lab/MMLU-Pro", "acc", 5),
)
BOARD = "https://huggingface.co/spaces/open-llm-leaderboard/open_llm_leaderboard#/?search="
