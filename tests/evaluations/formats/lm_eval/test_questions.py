"""The question of a prompt, and the templates that it is rendered by."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.evaluations.formats.lm_eval.questions import Prompting, prompt_text, question
from registry.evaluations.formats.lm_eval.templates import rendered

FIELD = st.text(st.sampled_from("abcdefghij ?.,é"), min_size=6, max_size=60).map("x{}y".format)
TEMPLATES = [
    "Q: {{question}}\nA:",
    "{{ question.strip() }}",
    "question",
    "{{passage}}\n{{question}}?",
]
WRAPPINGS = [
    "{}",
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n",
    "<s>[INST] {} [/INST]",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>",
    "<bos><start_of_turn>user\n{}<end_of_turn>\n<start_of_turn>model\n",
]

PASSAGE = "a long passage about the sea and the ships on it"

documents = st.lists(
    st.fixed_dictionaries({"question": FIELD, "passage": FIELD, "answer": FIELD}),
    min_size=6, max_size=6, unique_by=lambda each: each["question"],
)  # fmt: skip


@settings(deadline=None)
@given(
    documents=documents,
    template=st.sampled_from(TEMPLATES),
    wrapping=st.sampled_from(WRAPPINGS),
    shots=st.integers(0, 5),
    around=st.tuples(
        st.sampled_from(["", "Answer the questions.\n\n", "These are questions.\n"]),
        st.sampled_from(["text", "messages", "json", "json in a list"]),
    ),
)
def test_a_rendered_question_is_the_same_whatever_is_around_it(
    documents: list[dict[str, str]],
    template: str,
    wrapping: str,
    shots: int,
    around: tuple[str, str],
) -> None:
    description, form = around
    asked = [rendered(template, document) or "" for document in documents]
    examples = [f"{text} {each['answer']}\n\n" for text, each in zip(asked, documents, strict=True)]
    prompt: Any = description + "".join(examples[:shots]) + asked[-1]
    if form == "text":
        prompt = wrapping.format(prompt)
    else:
        system = {"role": "system", "content": "Be brief."}
        prompt = [system, {"role": "user", "content": prompt}]
        if form != "messages":
            prompt = json.dumps(prompt)
        if form == "json in a list":
            prompt = [prompt]
    assert question(prompt, documents[-1], Prompting(template=template)) == asked[-1].strip()


@settings(deadline=None)
@given(documents=documents, shots=st.integers(0, 5), wrapping=st.sampled_from(WRAPPINGS))
def test_a_question_without_a_template_begins_and_ends_where_its_example_does(
    documents: list[dict[str, str]], shots: int, wrapping: str
) -> None:
    document = {"question": documents[-1]["question"] + ", the one that is asked?"}
    asked = f"Question: {document['question']}\nAnswer:"
    examples = [f"Question: {each['question']}\nAnswer: {each['answer']}" for each in documents]
    prompt = wrapping.format("\n\n".join([*examples[:shots], asked]))
    assert question(prompt, document, Prompting(template="def doc_to_text(doc):")) == asked


@pytest.mark.parametrize(
    ("prompt", "document", "prompting", "expected"),
    [
        # A passage before the question belongs to it, the answer of an example does not.
        (
            f"P: a\n\nQ: b\nA: yes\n\nP: {PASSAGE}\n\nQ: why?\nA:",
            {"passage": PASSAGE, "question": "why?", "answer": "yes"},
            Prompting(),
            f"P: {PASSAGE}\n\nQ: why?\nA:",
        ),
        # A number that a template gives is the place of a choice, not a text in the prompt.
        ("1 and 1", {"label": 1}, Prompting(template="{{label}}", has_choices=True), "1 and 1"),
        # What the registry wrote is the question.
        ("Read.\n\nIs it?", {"q": "Is it?"}, Prompting(is_question=True), "Read.\n\nIs it?"),
        # Without a document, the number of examples shows the last one.
        ("Q a\n\nQ b\n\nQ c", None, Prompting(shots=2), "Q c"),
        ("Q a\n\nQ b\n\nQ c", None, Prompting(shots=1), "Q a\n\nQ b\n\nQ c"),
        ("Read.\n\nQ a\n\nQ b", {}, Prompting(shots=1, description="Read."), "Q b"),
        ("Read.\n\nQ a\n\nQ b", {}, Prompting(description="Read."), "Q a\n\nQ b"),
        ("Q a##Q b", None, Prompting(shots=1, delimiter="##"), "Q b"),
        ("Describe.\nQ a", {"q": "Q a"}, Prompting(description="Describe."), "Q a"),
        ("  \n", {"q": "x"}, Prompting(), None),
        (3, {"q": "x"}, Prompting(), None),
        ([{"role": "assistant", "content": "x"}], {}, Prompting(), None),
        ("[{not json", {}, Prompting(), "[{not json"),
    ],
)  # fmt: skip
def test_questions(
    prompt: object, document: object, prompting: Prompting, expected: object
) -> None:
    assert question(prompt, document, prompting) == expected


def test_of_messages_the_user_s_last_one_is_asked() -> None:
    turns = [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "2+2?"}]},
    ]
    for form in (turns, json.dumps(turns), [json.dumps(turns)]):
        assert prompt_text(form) == "2+2?"


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10**9 }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in q %}{% for j in q %}x{% endfor %}{% endfor %}",
        # Also where these are short, as loops that write nothing reach no limit of a text.
        "{% for i in 'ab' %}{% for j in 'ab' %}x{% endfor %}{% endfor %}",
        "{% for i in 'ab' %}{% if i %}{% for j in 'ab' %}x{% endfor %}{% endif %}{% endfor %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ q.replace('x', q) }}",
        "{{ q | replace('x', q) }}",
        "{{ [q] | join(q) | join(q) | join(q) }}",
        "{{" + " + ".join(["q"] * 900) + "}}",
        "{% set a = q %}{% set a = a + a %}{{ a }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% include '/etc/passwd' %}",
        "{{ cycler }}",
        "{{ missing }}",
        "{{ q[",
        "x" * 20_001,
        "{{ (" * 500,
        "{{ '%1000000000d' | format(1) }}",
        "{{ q.ljust(1000000000) }}",
        "{{ '{:1000000000}'.format(1) }}",
    ],
)
def test_templates_that_could_run_long_or_reach_out_are_not_rendered(template: str) -> None:
    assert rendered(template, {"q": "x" * 10_000}) is None


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ choices.text[0] }}/{{ choices['label'][-1] }}", "a/B"),
        ("{% for c in choices.text %}{{ loop.index }}. {{ c }}\n{% endfor %}", "1. a\n2. b\n"),
        ("{% for i in range(choices.text | length) %}{{ choices.text[i] }}{% endfor %}", "ab"),
        ("{{ choices.text | join(', ') }}{{ q | replace('?', '!') | upper }}", "a, bWHAT!"),
        ("{{ q[0] | upper }}{{ q[1:] }}", "What?"),
        ("{% if n > 2 %}{{ q }}{% else %}none{% endif %}", "what?"),
        ("{{ q.split('a')[0] + 'o' }}", "who"),
        ("q", "what?"),
    ],
)
def test_templates_of_tasks_are_rendered(template: str, text: str) -> None:
    document = {"q": "what?", "n": 3, "choices": {"text": ["a", "b"], "label": ["A", "B"]}}
    assert rendered(template, document) == text
