import pytest

from registry.hub.parents import Parentage, model_name, model_reference, read_parentage

TAGGED = ["acme/a", "acme/b", "merge:acme/a", "merge:acme/b"]


def read(
    tags: list[str], base_model: object = None, *, adapter: bool = False, quantized: bool = False
) -> Parentage:
    card = {"base_model": base_model}
    return read_parentage(tags, card, adapter=adapter, quantized=quantized)


def edges(parentage: Parentage) -> list[tuple[str, str, str]]:
    return [(parent.name, parent.relation, parent.source) for parent in parentage.parents]


def test_tags_name_the_relation() -> None:
    parentage = read(TAGGED)
    assert edges(parentage) == [("acme/a", "merge", "tag"), ("acme/b", "merge", "tag")]
    assert [parent.position for parent in parentage.parents] == [0, 1]
    assert {parent.confidence for parent in parentage.parents} == {1.0}
    assert parentage.unread == ()


def test_relation_is_unknown_only_where_no_tag_names_it() -> None:
    parentage = read(["acme/a", "acme/b", "finetune:acme/a", "distilled:acme/c"])
    assert edges(parentage) == [
        ("acme/a", "finetune", "tag"),
        ("acme/c", "base_unknown", "tag"),
        ("acme/b", "base_unknown", "tag"),
    ]


def test_parent_by_several_relations_keeps_them() -> None:
    parentage = read(["adapter:acme/a", "quantized:acme/a", "quantized:acme/a"])
    assert edges(parentage) == [("acme/a", "adapter", "tag"), ("acme/a", "quantized", "tag")]


def test_tag_that_names_no_model_is_left_out() -> None:
    parentage = read(["finetune:not a model", "finetune:acme/a"])
    assert edges(parentage) == [("acme/a", "finetune", "tag")]
    assert parentage.unread == ("tags",)


def test_card_adds_nothing_about_a_tagged_parent() -> None:
    card = {"base_model": ["acme/b", "acme/a"], "base_model_relation": "finetune"}
    parentage = read_parentage(TAGGED, card, adapter=True, quantized=True)
    assert edges(parentage) == [("acme/a", "merge", "tag"), ("acme/b", "merge", "tag")]


@pytest.mark.parametrize(
    ("listed", "rename"),
    [
        ("ACME/A", ("ACME/A", "acme/a")),  # another case
        ("old/a", ("old/a", "acme/a")),  # moved to another organisation
        ("a", ("a", "acme/a")),  # an id from before there were organisations
        ("old/name", ("old/name", "acme/a")),  # nothing else is left
    ],
)
def test_renamed_parent_adds_no_edge(listed: str, rename: tuple[str, str]) -> None:
    parentage = read(TAGGED, [listed, "acme/b"])
    assert parentage.renames == (rename,)
    assert edges(parentage) == [("acme/a", "merge", "tag"), ("acme/b", "merge", "tag")]
    assert parentage.unread == ()


def test_spelling_twice_in_the_card_is_one_parent() -> None:
    parentage = read(["finetune:acme/a"], ["acme/a", "Acme/A"])
    assert edges(parentage) == [("acme/a", "finetune", "tag")]
    assert parentage.renames == (("Acme/A", "acme/a"),)


def test_moved_parents_are_paired_by_name_before_the_rest() -> None:
    parentage = read(["merge:new/x", "merge:new/y", "merge:acme/z"], ["old/y", "old/x", "was/z1"])
    assert set(parentage.renames) == {
        ("old/y", "new/y"),
        ("old/x", "new/x"),
        ("was/z1", "acme/z"),
    }
    assert len(parentage.parents) == 3


@pytest.mark.parametrize(
    ("tags", "listed"),
    [
        (["new/x", "new/y"], ["old/z"]),  # either may be meant
        (["new/x"], ["p/x", "q/x"]),  # both go by its name
        (["new/x", "other/x"], ["p/x"]),
    ],
)
def test_an_entry_that_may_be_several_parents_is_no_rename(
    tags: list[str], listed: list[str]
) -> None:
    parentage = read([f"merge:{tag}" for tag in tags], listed)
    assert parentage.renames == ()
    assert [parent.name for parent in parentage.parents] == [*tags, *listed]


def test_parents_that_cannot_be_paired_are_doubtful() -> None:
    parentage = read(["merge:new/x"], ["old/y", "old/z"])
    assert parentage.renames == ()
    by_name = {parent.name: parent.confidence for parent in parentage.parents}
    assert by_name["new/x"] == 1.0
    assert by_name["old/y"] == by_name["old/z"] < 0.5


def test_parent_gone_from_the_hub_is_an_edge_of_lower_confidence() -> None:
    parentage = read(["finetune:acme/a"], ["acme/a", "acme/gone"])
    assert edges(parentage) == [("acme/a", "finetune", "tag"), ("acme/gone", "merge", "card")]
    assert parentage.parents[1].position == 1
    assert 0.5 < parentage.parents[1].confidence < 1


@pytest.mark.parametrize(
    ("relation", "expected"),
    [("merge", "merge"), ("Quantized", "quantized"), ("copy", "base_unknown"), (3, "base_unknown")],
)
def test_stated_relation_counts(relation: object, expected: str) -> None:
    card = {"base_model": "acme/a", "base_model_relation": relation}
    parentage = read_parentage([], card, adapter=True, quantized=False)
    assert edges(parentage) == [("acme/a", expected, "card")]
    assert parentage.unread == (("base_model_relation",) if expected == "base_unknown" else ())


def test_relation_is_inferred_as_the_hub_does() -> None:
    assert edges(read([], "acme/a")) == [("acme/a", "finetune", "card")]
    assert edges(read([], "acme/a", quantized=True)) == [("acme/a", "quantized", "card")]
    assert edges(read([], "acme/a", adapter=True, quantized=True)) == [
        ("acme/a", "adapter", "card")
    ]
    assert [edge[1] for edge in edges(read([], ["acme/a", "acme/b"]))] == ["merge", "merge"]


def test_stated_relation_is_trusted_more_than_an_inferred_one() -> None:
    stated = read_parentage(
        [],
        {"base_model": "acme/a", "base_model_relation": "finetune"},
        adapter=False,
        quantized=False,
    )
    unknown = read_parentage(
        [], {"base_model": "acme/a", "base_model_relation": "odd"}, adapter=False, quantized=False
    )
    inferred = read([], "acme/a")
    confidences = [each.parents[0].confidence for each in (stated, inferred, unknown)]
    assert confidences == sorted(confidences, reverse=True)
    assert len(set(confidences)) == 3


def test_single_word_without_a_tag_is_no_model() -> None:
    parentage = read([], ["merge", "mergekit"])
    assert parentage == Parentage(unread=("base_model",))


def test_self_reference_is_kept() -> None:
    assert edges(read(["finetune:acme/child"])) == [("acme/child", "finetune", "tag")]


def test_merge_configuration_adds_merges_under_present_names() -> None:
    card = {
        "base_model": ["old/a", "acme/b"],
        "mergekit_config": {"models": [{"model": "old/a"}, {"model": "ACME/B"}, {"model": "x/c"}]},
    }
    parentage = read_parentage(TAGGED, card, adapter=False, quantized=False)
    assert edges(parentage) == [
        ("acme/a", "merge", "tag"),
        ("acme/b", "merge", "tag"),
        ("acme/a", "merge", "merge_config"),
        ("acme/b", "merge", "merge_config"),
        ("x/c", "merge", "merge_config"),
    ]


def test_known_relation_replaces_an_unknown_one() -> None:
    card = {"mergekit_config": {"models": [{"model": "acme/a"}]}}
    parentage = read_parentage(["acme/a"], card, adapter=False, quantized=False)
    assert edges(parentage) == [("acme/a", "merge", "merge_config")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("acme/a", "acme/a"),
        (" acme/a ", "acme/a"),
        ("acme/a/", "acme/a"),
        ("gpt2", "gpt2"),
        ("https://huggingface.co/acme/a", "acme/a"),
        ("https://huggingface.co/acme/a/tree/main", "acme/a"),
        ("hf.co/acme/a?library=x", "acme/a"),
        ("https://huggingface.co/datasets/acme/a", None),
        ("https://huggingface.co/spaces/acme/a", None),
        ("https://github.com/acme/a", None),
        ("./a", None),
        ("../a", None),
        ("/models/a", None),
        ("~/models", None),
        ("D:\\models\\a", None),
        ("a model of ours", None),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_model_reference(value: object, expected: str | None) -> None:
    assert model_reference(value) == expected


@pytest.mark.parametrize("name", ["gpt2", "acme/a", "acme/_A.b-c", "org/模型"])
def test_model_name(name: str) -> None:
    assert model_name(name) == name
