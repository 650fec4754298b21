"""Plan of the tour's evaluations: real names of models, with made-up runs and dates."""

from collections.abc import Mapping
from datetime import UTC, datetime

from registry.evaluations.records import Setup, Source

BOARD = Source(name="demo board (made up)")
"""Who states the outcomes of nearly all models."""

HARNESS = Source(name="lm-eval")
"""What the logs of a few models look as if they came from."""

SETUP = Setup(harness="lm-eval", harness_version="made-up-by-registry-demo", shots=0)

STATED_AT = datetime(2025, 6, 1, 12, tzinfo=UTC)
LOGGED_AT = datetime(2025, 7, 1, 12, tzinfo=UTC)

UNKNOWN = "made-up-lab/no-such-model-7b"
"""A name on the board that resolves to no model."""

MODELS = (
    *("meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.2-1B-Instruct"),
    *("meta-llama/Llama-3.2-3B", "meta-llama/Llama-3.2-3B-Instruct"),
    *("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B-Instruct"),
    *("meta-llama/Llama-3.1-70B", "meta-llama/Llama-3.1-70B-Instruct"),
    *("meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-7b-chat-hf"),
    *("meta-llama/Llama-2-13b-hf", "meta-llama/Llama-2-13b-chat-hf"),
    *("meta-llama/Llama-2-70b-hf", "meta-llama/Llama-2-70b-chat-hf"),
    *("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B-Instruct"),
    *("Qwen/Qwen2.5-1.5B", "Qwen/Qwen2.5-1.5B-Instruct"),
    *("Qwen/Qwen2.5-3B", "Qwen/Qwen2.5-3B-Instruct"),
    *("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct"),
    *("Qwen/Qwen2.5-14B", "Qwen/Qwen2.5-14B-Instruct"),
    *("Qwen/Qwen2.5-32B", "Qwen/Qwen2.5-32B-Instruct"),
    *("Qwen/Qwen2.5-72B", "Qwen/Qwen2.5-72B-Instruct"),
    *("google/gemma-2-2b", "google/gemma-2-2b-it"),
    *("google/gemma-2-9b", "google/gemma-2-9b-it"),
    *("google/gemma-2-27b", "google/gemma-2-27b-it"),
    *("01-ai/Yi-6B", "01-ai/Yi-6B-Chat", "01-ai/Yi-34B", "01-ai/Yi-34B-Chat"),
    *("mistralai/Mistral-7B-v0.1", "HuggingFaceH4/zephyr-7b-beta"),
    *("teknium/OpenHermes-2.5-Mistral-7B", "mlabonne/NeuralHermes-2.5-Mistral-7B"),
    *("mistralai/Mixtral-8x7B-v0.1", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
    *("mistralai/Mistral-Nemo-Base-2407", "mistralai/Mistral-Nemo-Instruct-2407"),
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
)
"""The models that are evaluated, by their present names; all have known sizes."""

SPELT: Mapping[str, str] = {
    "google/gemma-2-9b": "google__gemma-2-9b",
    "meta-llama/Llama-3.1-8B": "meta-llama/Meta-Llama-3.1-8B",
}
"""Models that the board calls otherwise: as a harness names its folders, and as they once were."""

TWICE = "HuggingFaceH4/zephyr-7b-beta"
"""Is on the board and in the logs, which disagree on about one item in fifteen."""

LIMITED = "01-ai/Yi-34B-Chat"
"""Was logged on the first `LIMIT` capitals only; the board has it on all else."""

LIMIT = 50

LOGGED: Mapping[str, tuple[str, ...]] = {
    "mistralai/Mistral-7B-v0.1": ("demo-sums", "demo-cities"),
    TWICE: ("demo-sums", "demo-cities"),
    LIMITED: ("demo-cities",),
}
"""Models with logs, on which benchmarks; but for `TWICE` they are not on the board there."""
