import factories
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from registry.catalog import matching, names
from registry.catalog.matching import Spelling, spellings


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("org/name", []),
        ("gpt-4", []),
        ("org__name", [("org/name", None)]),
        ("01-ai__Yi-1.5-34B", [("01-ai/Yi-1.5-34B", None)]),
        ("org/with__two", []),
        ("__name", []),
        ("models--org--name", [("org/name", None)]),
        ("models--org--name-with--dashes", [("org/name-with--dashes", None)]),
        ("pretrained=org/name,dtype=auto", [("org/name", None)]),
        ("dtype=auto, pretrained=org/name ,revision=step10", [("org/name", "step10")]),
        ("pretrained=org/name,revision=", [("org/name", None)]),
        ("pretrained=org/base,revision=r,peft=me/lora", [("me/lora", None)]),
        ("model=gpt-4o,base_url=http://x", [("gpt-4o", None)]),
        ("pretrained=org__name", [("org__name", None), ("org/name", None)]),
        ("pretrained=org/name@v1", [("org/name@v1", None), ("org/name", "v1")]),
        ("dtype=auto", []),
        ("https://huggingface.co/org/name", [("org/name", None)]),
        ("http://www.huggingface.co/org/name/", [("org/name", None)]),
        ("hf.co/org/name", [("org/name", None)]),
        ("https://huggingface.co/models/org/name", [("org/name", None)]),
        ("https://huggingface.co/org/name/tree/abc123", [("org/name", "abc123")]),
        ("https://huggingface.co/org/name/blob/main/README.md", [("org/name", "main")]),
        ("https://example.com/org/name", []),
        ("hf:org/name", [("org/name", None)]),
        ("huggingface/org/name", [("org/name", None)]),
        ("hf/org/name@v2", [("org/name@v2", None), ("org/name", "v2")]),
        ("huggingface/name", []),
        ("org/name@step1000", [("org/name", "step1000")]),
        ("name@step1000", []),
    ],
)
def test_what_a_spelling_may_mean(name: str, meant: list[tuple[str, str | None]]) -> None:
    assert spellings(name) == [Spelling(name), *(Spelling(*each) for each in meant)]


def test_white_space_around_a_name_is_none_of_it() -> None:
    assert spellings(" org__name\t") == [Spelling("org__name"), Spelling("org/name")]


@given(st.text(st.sampled_from("aB0/_-=,.@: pretrainedpeftmodelshf"), max_size=60))
def test_whatever_the_text_the_first_is_the_name_itself(name: str) -> None:
    found = spellings(name)
    assert found[0] == Spelling(name.strip())
    assert all(each.name for each in found[1:])
    assert all(each.revision != "" for each in found)


@pytest.mark.parametrize(
    "spelling",
    [
        "org/Model-7B/",
        "org/Model-7B//",
        "models--org--Model-7B",
        "models--org--Model-7B/snapshots/0123abc",
        "/root/.cache/huggingface/hub/models--org--Model-7B/snapshots/0123abc/",
        "pretrained=/root/.cache/huggingface/hub/models--org--Model-7B/snapshots/0123abc,dtype=auto",
    ],
)
def test_paths_of_the_local_cache(connection: Connection, spelling: str) -> None:
    key = factories.model(connection, "org/Model-7B")
    assert matching.match_names(connection, [spelling])[spelling].model_id == key
    if "=" not in spelling:
        query = "SELECT registry.model_id(:spelling)"
        assert factories.rows(connection, query, spelling=spelling) == [(key,)]
        assert names.model_id(connection, spelling) == key


def test_revisions_of_the_local_cache() -> None:
    assert matching.spellings("models--org--a/snapshots/0a1b")[1] == ("org/a", "0a1b")
