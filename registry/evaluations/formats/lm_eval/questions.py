"""Question of a sample: its prompt without examples, description and chat template.

The document is what is asked, whatever is put around it: runs with and without examples, by models
with chat templates of their own, ask the same questions.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from registry.evaluations.formats.json_files import members
from registry.evaluations.formats.lm_eval.templates import rendered

_DELIMITER = "\n\n"
"""Between examples, unless the task states another."""

_SURE = 8
"""Characters from which a text several times in a prompt is the question, if it is not its end."""

_LONG = 40
"""Characters from which a field is a passage of the question, across a delimiter."""

_SHORTEST, _MOST_FIELDS, _DEEPEST, _NEAR = 3, 100, 4, 100

# Tokens of chat templates, and what they put between them.
_SPECIAL = r"<[|\uff5c][^<>|\uff5c\n]{1,40}[|\uff5c]>"
_TOKEN = re.compile(_SPECIAL + r"|\[/?INST\]|</?s>|<(?:start|end)_of_turn>|<</?SYS>>")
_ROLE = re.compile(rf"\s*(?:user|human|User|Human)?\s*(?:{_SPECIAL})?\s*")


@dataclass(frozen=True, slots=True)
class Prompting:
    """How a task's prompts are made of its documents, as far as the results file states it.

    Attributes:
        template: Jinja template of the question, or the name of the field that it is.
        description: before the examples.
        delimiter: between examples.
        shots: number of examples; None if unknown.
        has_choices: whether a template that gives a number gives the place of a choice.
        is_question: whether prompts are questions as they are, as the registry writes them.
    """

    template: str | None = None
    description: str = ""
    delimiter: str = _DELIMITER
    shots: int | None = None
    has_choices: bool = False
    is_question: bool = False

    @classmethod
    def of(
        cls, config: Mapping[str, object], shots: int | None, *, is_question: bool
    ) -> "Prompting":
        """Return the prompting that a task's configuration states."""
        template, description = config.get("doc_to_text"), config.get("description")
        delimiter = config.get("fewshot_delimiter")
        return cls(
            template=template if isinstance(template, str) and template else None,
            description=description.strip() if isinstance(description, str) else "",
            delimiter=delimiter if isinstance(delimiter, str) and delimiter else _DELIMITER,
            shots=shots,
            has_choices=bool(config.get("doc_to_choice")),
            is_question=is_question,
        )


UNKNOWN = Prompting()


def question(prompt: object, document: object, prompting: Prompting = UNKNOWN) -> str | None:
    """Return the question that a prompt asks; the whole prompt where that cannot be known.

    Args:
        prompt: a text, a list of messages, or the JSON text of one.
        document: what it was made of.
        prompting: how.
    """
    text = prompt_text(prompt)
    if text is None or not text.strip():
        return None
    if prompting.is_question:
        return text
    fields = members(document)
    return (
        _rendered(text, fields, prompting)
        or _around_fields(text, fields, prompting)
        or _last_example(_undescribed(text, prompting), prompting)
    )


def prompt_text(prompt: object) -> str | None:
    """Return a prompt's text; of messages it is the last one of the user."""
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]  # lm-eval wraps the JSON text of messages
    if isinstance(prompt, str):
        if not prompt.lstrip().startswith("[{"):
            return prompt
        try:
            messages = orjson.loads(prompt)
        except orjson.JSONDecodeError:
            return prompt
        return _asked(messages) or prompt
    return _asked(prompt)


def _asked(messages: object) -> str | None:
    """Return the content of the user's last message; None if there is none."""
    if not isinstance(messages, list):
        return None
    contents = [
        content
        for each in messages
        if members(each).get("role") == "user"
        and (content := _content(members(each).get("content")))
    ]
    return contents[-1] if contents else None


def _content(content: object) -> str | None:
    """Return the text of a message, which may have parts of several types."""
    if isinstance(content, list):
        parts = [members(part).get("text") for part in content]
        content = "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else None


def _rendered(prompt: str, fields: Mapping[str, object], prompting: Prompting) -> str | None:
    """Return the text that the task's template gives, if the prompt has it."""
    if prompting.template is None or not fields:
        return None
    text = (rendered(prompting.template, fields) or "").strip()
    if not text or (prompting.has_choices and text.isdecimal()):
        return None
    # A short text may be in the prompt by chance, unless it is there once.
    places = prompt.count(text)
    is_sure = places == 1 or (places > 1 and len(text) >= _SURE)
    return text if is_sure or prompt.rstrip().endswith(text) else None


def _around_fields(prompt: str, fields: Mapping[str, object], prompting: Prompting) -> str | None:
    """Return the part of the prompt around the last place of the document's own texts."""
    texts = sorted(set(_texts(fields)), key=lambda text: (-len(text), text))[:_MOST_FIELDS]
    own = set(_texts(fields, in_lists=False))
    start = end = -1
    for text in texts:
        if text in own and (start := prompt.rfind(text)) >= 0:
            end = start + len(text)
            break
    if start < 0:
        return None
    for at, text in sorted(((prompt.rfind(text), text) for text in texts), reverse=True):
        between = prompt[at + len(text) : start]
        if 0 <= at < at + len(text) <= start and _belongs(text, between, prompting.delimiter):
            start = at
    closing = _TOKEN.search(prompt, end)
    return prompt[_beginning(prompt, start, prompting) : closing and closing.start()].strip()


def _beginning(prompt: str, start: int, prompting: Prompting) -> int:
    """Return where the last example begins, whose first field is at `start`."""
    delimiter = prompt.rfind(prompting.delimiter, 0, start)
    begin = delimiter + len(prompting.delimiter)
    if delimiter < 0:
        begin = len(prompt) - len(_undescribed(prompt, prompting))
    for token in _TOKEN.finditer(prompt, begin, start):
        role = _ROLE.match(prompt, token.end())
        begin = role.end() if role else token.end()
    return min(begin, start)


def _belongs(text: str, between: str, delimiter: str) -> bool:
    """Return whether a field before the question is a part of it, rather than of an example."""
    if len(between) > _NEAR:
        return False
    return delimiter not in between or (len(text) >= _LONG and between.count(delimiter) == 1)


def _texts(value: object, depth: int = 0, *, in_lists: bool = True) -> Iterator[str]:
    """Yield the texts in a document that are long enough to be found in its prompt."""
    if isinstance(value, str):
        if len(text := value.strip()) >= _SHORTEST:
            yield text
    elif isinstance(value, dict | list) and depth < _DEEPEST:
        if isinstance(value, list) and not in_lists:
            return
        for each in value.values() if isinstance(value, dict) else value[:_MOST_FIELDS]:
            yield from _texts(each, depth + 1, in_lists=in_lists)


def _undescribed(prompt: str, prompting: Prompting) -> str:
    """Return a prompt without the description before its examples."""
    text = prompt.lstrip()
    is_described = bool(prompting.description) and text.startswith(prompting.description)
    return text[len(prompting.description) :].lstrip() if is_described else prompt


def _last_example(prompt: str, prompting: Prompting) -> str:
    """Return what follows the examples, if there are as many as stated, else the whole prompt."""
    parts = prompt.split(prompting.delimiter)
    return parts[-1] if prompting.shots and len(parts) == prompting.shots + 1 else prompt
