from pathlib import Path

import pytest
from factories import alias, model, rows
from sqlalchemy import Connection

from registry.errors import RegistryError, UsageError
from registry.prediction.domains import domain_storage
from registry.prediction.domains.domain_sets import (
    DomainSet,
    StatedExpert,
    Subject,
    read_sets,
    shipped_sets,
)
from registry.prediction.domains.domain_storage import read_set, ship, write_set

OURS = """
ours:
  description: what we ask
  fallback: rest
  domains:
    a: {quiz: [One, two], other_quiz: all}
    b: {"*": [three], quiz: all}
    rest: {chat: all}
"""


def read(folder: Path, content: str, name: str = "sets.yaml") -> DomainSet:
    path = folder / name
    path.write_text(content)
    (found,) = read_sets(path)
    return found


def test_shipped_sets_map_all_subjects_once() -> None:
    modem, mmlu_pro = shipped_sets()
    assert (modem.name, modem.fallback) == ("modem", "other")
    assert list(modem.domains) == ["math", "health", "science", "coding", "other"]
    subjects = [each.subject for each in modem.subjects if each.benchmark == "mmlu"]
    assert len(subjects) == len(set(subjects)) == 57
    for each in (modem, mmlu_pro):
        assert len([one for one in each.subjects if one.benchmark == "mmlu_pro"]) == 14
    assert len(mmlu_pro.domains) == 14


@pytest.mark.parametrize(
    ("asked", "subject", "domain"),
    [
        ("mmlu", "Abstract Algebra", "math"),
        ("mmlu", "professional_law", "other"),
        ("mmlu_anatomy", None, "health"),
        ("MMLU-Pro", "computer science", "coding"),
        ("mmlu_pro_computer_science", None, "coding"),
        ("gsm8k", None, "math"),
        ("gsm8k", "whatever", "math"),
        ("mmlu", "no such subject", None),
        ("mmlu", None, None),
        ("nothing", None, None),
    ],
)
def test_the_domain_of_an_item_is_that_of_its_subject(
    asked: str, subject: str | None, domain: str | None
) -> None:
    modem = shipped_sets()[0]
    number = modem.places().of(asked, subject)
    assert (None if number is None else modem.domains[number]) == domain


def test_a_nearer_line_counts_before_a_wider_one(tmp_path: Path) -> None:
    ours = read(tmp_path, OURS)
    places = ours.places()
    assert [ours.domains[each] for each in map(int, [
        places.of("quiz", "one") or 0, places.of("quiz", "three") or 0,
        places.of("quiz", "four") or 0, places.of("elsewhere", "three") or 0,
        places.of("other_quiz", "three") or 0, places.of("chat", None) or 0,
    ])] == ["a", "b", "b", "b", "b", "rest"]  # fmt: skip
    assert places.of("elsewhere", "one") is None
    assert ours.description == "what we ask"


def test_csv_is_read_like_yaml(tmp_path: Path) -> None:
    path = tmp_path / "ours.csv"
    path.write_text(
        "domain,benchmark,subject,fallback\na,quiz,One,\na,quiz,two,\na,other_quiz,,\n"
        "b,*,three,\nb,quiz,,no\n\nrest,chat,,yes\n"
    )
    (found,) = read_sets(path)
    expected = read(tmp_path, OURS)
    assert (found.name, found.domains, found.subjects, found.fallback) == (
        "ours", expected.domains, expected.subjects, "rest",
    )  # fmt: skip
    assert read_sets(path, "named")[0].name == "named"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("domain,subject\n", "line 1: the columns are domain, benchmark"),
        ("domain,benchmark,domain\n", "line 1: the columns"),
        ("domain,benchmark\na,x\nb\n", "line 3: has 1 fields, the first line 2"),
        ("domain,benchmark\na,x\nb,X\n", "line 3: X: all is mapped twice, to a and to b"),
        ("domain,benchmark\na,x\na,x\n", "line 3: x: all is mapped twice, to a and to a"),
        ("domain,benchmark\na,x\n ,y\n", "line 3: domain is to be a text of 1 to 255"),
        ("domain,benchmark\na,x\nb,\n", "line 3: benchmark is to be a text"),
        ("domain,benchmark\na,x\nb,*\n", "line 3: all of any benchmark is no subject"),
        ("domain,benchmark\na,x\n", "two domains or more"),
        ("", "line 1: the columns"),
        (
            "domain,benchmark,fallback\na,x,1\nb,y,1\n",
            "line 3: a is the fallback already; there is one",
        ),
        ('domain,benchmark\na,"x\n', "line 2: unexpected end of data"),
        ("domain,benchmark\na,x\x07\nb,y\n", "line 2: benchmark has characters that cannot"),
        ("domain,benchmark\na," + "x" * 256 + "\nb,y\n", "line 2: benchmark is to be a text of"),
    ],
)
def test_a_csv_that_cannot_be_right_is_refused_by_line(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message.replace("*", r"\*")) as raised:
        read(tmp_path, content, "bad.csv")
    assert "bad.csv" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "line 1: no YAML"),
        ("- a", "write a set as its name"),
        ("", "write a set as its name"),
        ("s: {}", "set s: `domains` is to be a mapping"),
        ("s: {domains: {a: {x: all}, b: {y: all}}, other: 1}", "unknown field 'other'"),
        ("s: {domains: {a: {x: all}, b: all}}", "domain b: write benchmarks"),
        ("s: {domains: {a: {x: all}, b: {y: some}}}", "benchmark y: write `all`, or a list"),
        ("s: {domains: {a: {x: all}, b: {y: []}}}", "benchmark y: write `all`, or a list"),
        ("s: {domains: {a: {x: [p]}, b: {x: [P]}}}", "x: P is mapped twice, to a and to b"),
        ("s: {domains: {a: {x: all}}}", "two domains or more"),
        ("s: {domains: {a: {x: all}, b: {}}}", "domain b: has no benchmark"),
        ("s: {fallback: c, domains: {a: {x: all}, b: {y: all}}}", "fallback 'c' is none of"),
        ("s: {domains: {a: {x: all}, a: {y: all}}}", "line 1: no YAML .* 'a' is written twice"),
        ("s: {domains: {a: {x: all}, b: {y: all}}, experts: [m]}", "`experts` is to be a mapping"),
        ("s: {domains: {a: {x: all}, b: {y: all}}, experts: {c: m}}", "an expert of 'c'"),
        ("s: {domains: {a: {x: all}, b: {y: all}}, experts: {a: [m]}}", "model is to be a text"),
    ],
)
def test_yaml_that_cannot_be_right_is_refused_by_field(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read(tmp_path, content)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent.yaml: No such file"):
        read_sets(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"s: \xe9")
    with pytest.raises(UsageError, match="latin.yaml: not UTF-8 at byte 3"):
        read_sets(tmp_path / "latin.yaml")
    (tmp_path / "two.yaml").write_text(OURS + OURS.replace("ours:", "theirs:"))
    assert len(read_sets(tmp_path / "two.yaml")) == 2
    with pytest.raises(UsageError, match="has 2 sets, so they cannot all be named 'x'"):
        read_sets(tmp_path / "two.yaml", "x")


def test_a_set_is_stored_as_it_is_read(connection: Connection, tmp_path: Path) -> None:
    ours = read(tmp_path, OURS)
    assert write_set(connection, ours)
    assert read_set(connection, "ours").content == ours
    assert not write_set(connection, ours)
    key = read_set(connection, "ours").key
    assert write_set(connection, read(tmp_path, OURS.replace("two", "zwei")))
    assert read_set(connection, "ours").key != key
    assert rows(connection, "SELECT domain, fallback, benchmarks, subjects FROM registry.domains"
                            " WHERE domain_set = 'ours' ORDER BY 1") == [
        ("a", False, ["other_quiz", "quiz"], ["other_quiz", "quiz: One", "quiz: zwei"]),
        ("b", False, ["*", "quiz"], ["*: three", "quiz"]),
        ("rest", True, ["chat"], ["chat"]),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="did you mean 'ours'"):
        read_set(connection, "our")


def test_stated_experts_are_models_by_any_name(connection: Connection, tmp_path: Path) -> None:
    key = model(connection, "org/expert")
    alias(connection, key, "old/expert")
    stated = OURS + "  experts: {a: {8B: old/expert, any: org/expert}, b: {350M: org/expert}}\n"
    ours = read(tmp_path, stated)
    assert ours.experts[0] == StatedExpert("a", "8B", "old/expert")
    assert write_set(connection, ours)
    assert list(read_set(connection, "ours").content.experts) == [
        StatedExpert("a", "8B", "org/expert"),
        StatedExpert("a", "any", "org/expert"),
        StatedExpert("b", "350M", "org/expert"),
    ]
    assert not write_set(connection, ours)
    with pytest.raises(RegistryError, match="org/exper"):
        write_set(connection, read(tmp_path, stated.replace("org/expert", "org/expertt")))
    with pytest.raises(RegistryError, match="'big' is no size tier"):
        write_set(connection, read(tmp_path, stated.replace("350M", "big")))
    with pytest.raises(UsageError, match="two experts of a for tier 8.0B"):
        write_set(connection, read(tmp_path, stated.replace("any", "8.0B")))


def test_shipped_sets_do_not_replace_a_persons(connection: Connection) -> None:
    mine = DomainSet("modem", ("x", "y"), {Subject("p", ""): "x", Subject("q", ""): "y"})
    ship(connection)
    assert read_set(connection, "modem").shipped
    assert write_set(connection, mine)
    ship(connection)
    assert read_set(connection, "modem") == (read_set(connection, "modem").key, mine, False)
    assert domain_storage.set_names(connection) == ["mmlu_pro", "modem"]
    assert read_set(connection, "mmlu_pro").content == shipped_sets()[1]
