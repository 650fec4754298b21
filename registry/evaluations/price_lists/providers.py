"""Names of providers: one for all lists, as models.dev has it."""

_NAMES = {
    "amazon_nova": "nova", "aws": "amazon-bedrock", "azure_ai": "azure", "azure_text": "azure",
    "bedrock": "amazon-bedrock", "bedrock_converse": "amazon-bedrock",
    "bedrock_mantle": "amazon-bedrock", "bigmodel": "zhipuai",
    "cloudflare": "cloudflare-workers-ai", "codestral": "mistral", "cohere_chat": "cohere",
    "dashscope": "alibaba",
    "fireworks": "fireworks-ai", "fireworks_ai": "fireworks-ai", "friendliai": "friendli",
    "gemini": "google", "github_copilot": "github-copilot", "gmi": "gmicloud",
    "meta_llama": "llama", "moonshot": "moonshotai",
    "novita": "novita-ai", "opencode_go": "opencode-go", "qwen_ai_platform": "alibaba",
    "qwencloud": "alibaba", "snowflake": "snowflake-cortex", "text-completion-codestral": "mistral",
    "text-completion-openai": "openai", "together": "togetherai", "together_ai": "togetherai",
    "vercel_ai_gateway": "vercel", "x-ai": "xai", "xiaomi_mimo": "xiaomi",
}  # fmt: skip


def provider_name(name: str) -> str:
    """Return the one name of a provider that a list names, in lower case."""
    name = name.strip().lower()
    if name.startswith("vertex_ai"):
        return "google-vertex"
    return _NAMES.get(name, name)
