from typing import Any

import numpy as np
import pytest
from domained import SET, WORDS, prompts, quiz, quiz_items
from evaluated import block, run, write
from factories import rows
from sqlalchemy import Connection, Engine, text

from registry.errors import LockHeldError, RegistryError, UsageError
from registry.evaluations.outcomes import read_outcomes
from registry.learning.domains.expert_router import ExpertRouter
from registry.learning.encoders import open_encoder
from registry.learning.routing.routing_problem import RoutingProblem
from registry.prediction.domains import domain_storage
from registry.prediction.domains.domain_prompts import classify, classify_texts, route_domain
from registry.prediction.domains.domain_sets import DomainSet, Subject
from registry.prediction.domains.domain_training import DomainTraining, train_domains

RATES = {
    "org/adder": {"sums": 0.9, "birds": 0.3, "law": 0.4},
    "org/birder": {"sums": 0.3, "birds": 0.9, "law": 0.4},
    "org/all": {"sums": 0.6, "birds": 0.6, "law": 0.7},
}
OPTIONS = DomainTraining(("ours",), encoder="hashing")


MIXED = ["zzz qqq", "add owl", "judge feather root", "court multiply beak", "nest"]


def vectors(texts: list[str]) -> Any:
    return open_encoder("hashing").encode(texts)


@pytest.fixture
def trained(engine: Engine) -> Engine:
    with engine.begin() as connection:
        quiz(connection, RATES)
        # Of too few items of sums, and of one domain of three.
        part = run("org/part", [1.0] * 19 + [None] * 41 + [1.0, 0.0] * 15 + [None] * 90)
        write(connection, block("quiz", part, asked=quiz_items()))
        domain_storage.write_set(connection, SET)
    (report,) = train_domains(engine, OPTIONS)
    assert (report.name, report.items, report.domains) == ("ours", 180, 3)
    assert report.by_vector is not None
    assert report.by_vector.accuracy > 0.95
    assert report.by_text is not None
    assert report.by_text.accuracy > 0.95
    return engine


def classified(connection: Connection, prompt: str, k: int = 3) -> list[tuple[Any, ...]]:
    vector = str(vectors([prompt])[0].tolist())
    return rows(
        connection,
        "SELECT domain, probability, confident, energy, fallback"
        " FROM registry.classify_prompt(CAST(:v AS vector), 'ours', :k)",
        v=vector,
        k=k,
    )


def test_sql_classifies_as_numpy_does(trained: Engine) -> None:
    texts = [*prompts("sums", 3, 9), *prompts("birds", 3, 9), *prompts("law", 3, 9), *MIXED]
    with trained.connect() as connection:
        stored = domain_storage.read_classifier(connection, "ours")
        for prompt, found in zip(texts, classify(stored, vectors(texts), k=3), strict=True):
            there = classified(connection, prompt)
            assert there[0][0] == found[0].domain
            assert {row[0]: row[1] for row in there} == pytest.approx(
                {each.domain: each.probability for each in found}, abs=1e-4
            )
            assert there[0][2] == found[0].confident
            assert [row[3] for row in there] == pytest.approx([found[0].energy] * 3, abs=1e-3)
            assert [row[1] for row in there] == sorted((row[1] for row in there), reverse=True)
            assert sum(row[1] for row in there) == pytest.approx(1)
        assert [classified(connection, each, 1)[0][0] for each in texts[:9]] == [
            "sums", "sums", "sums", "birds", "birds", "birds", "rest", "rest", "rest",
        ]  # fmt: skip
        assert [row[4] for row in classified(connection, texts[6])] == [True, False, False]
        assert not classified(connection, texts[6], 1)[0][2]
        assert classified(connection, texts[0], 0) == []


def test_the_evaluated_router_is_the_served_one(trained: Engine) -> None:
    with trained.connect() as connection:
        matrix = read_outcomes(connection)
        names = {each: number for number, each in enumerate(WORDS)}
        groups = np.array([names[each.item.rstrip("0123456789")] for each in matrix.columns])
        texts = dict(zip([each.item for each in quiz_items()], quiz_items(), strict=True))
        problem = RoutingProblem(
            matrix.values,
            vectors([texts[each.item].prompt or "" for each in matrix.columns]),
            groups,
            np.full(matrix.values.shape, np.nan),
        )
        router = ExpertRouter({0: 0, 1: 1, 2: 2}, fallback=2).fit(problem)
        asked = [*prompts("sums", 5, 9), *prompts("birds", 5, 9), *prompts("law", 5, 9), *MIXED]
        found = router.predict(vectors(asked)).probabilities
        for prompt, expected in zip(asked, found, strict=True):
            routed = rows(
                connection,
                "SELECT model, probability FROM registry.route_domain("
                " CAST(:v AS vector), 9, domain_set => 'ours')",
                v=str(vectors([prompt])[0].tolist()),
            )
            assert routed[0][0] == matrix.models[int(np.nanargmax(expected))]
            assert routed[0][1] == pytest.approx(np.nanmax(expected), abs=1e-5)
    assert set(router.rows(vectors(asked))) == {0, 1, 2, 3}


def test_a_prompt_like_none_of_the_items_is_not_confident(trained: Engine) -> None:
    with trained.connect() as connection:
        assert classified(connection, "add multiply fraction equation", 1)[0][2]
        ((_, _, confident, energy, _),) = classified(connection, "qwxz vkjh ypfg mmnb", 1)
        least = connection.scalar(text("SELECT least_energy FROM registry.domain_sets"))
    assert not confident
    assert energy < least


def test_scores_are_the_means_where_all_models_answered_all_items(trained: Engine) -> None:
    with trained.connect() as connection:
        found = {
            (row[0], row[1]): row[2:]
            for row in rows(
                connection,
                "SELECT model, domain, score, standard_error, items FROM registry.domain_scores",
            )
        }
    assert found.pop(("org/part", "birds"))[2] == 30
    assert len(found) == 12
    for model, shares in RATES.items():
        for domain, subject in (("sums", "sums"), ("birds", "birds"), ("rest", "law")):
            score, error, items = found[model, domain]
            assert score == pytest.approx(shares[subject], abs=1e-6)
            assert error == pytest.approx((score * (1 - score) / 59) ** 0.5, rel=1e-6)
            assert items == 60
        assert found[model, "all"][0] == pytest.approx(np.mean(list(shares.values())), abs=1e-6)


def test_the_general_score_is_over_items_of_no_domain_too(trained: Engine) -> None:
    fewer = DomainSet(
        "fewer", ("sums", "birds"),
        {Subject("quiz", "sums"): "sums", Subject("quiz", "birds"): "birds"},
    )  # fmt: skip
    with trained.begin() as connection:
        domain_storage.write_set(connection, fewer)
    (report,) = train_domains(trained, DomainTraining(("fewer",), encoder="hashing"))
    assert report.items == 120
    assert report.note == "60 items are of subjects that the set does not name"
    with trained.connect() as connection:
        found = dict(
            rows(
                connection,
                "SELECT model, score FROM registry.domain_scores"
                " WHERE domain_set = 'fewer' AND of_all",
            )
        )
    # Known in one of these two domains, which is half of them.
    assert 0 < found.pop("org/part") < 1
    assert found == pytest.approx(
        {model: float(np.mean(list(shares.values()))) for model, shares in RATES.items()}, abs=1e-6
    )


def test_domains_without_items_are_not_recognised(trained: Engine) -> None:
    wider = DomainSet(
        "wider", ("a", "sums", "b", "birds"),
        {Subject("quiz", "sums"): "sums", Subject("quiz", "birds"): "birds",
         Subject("other", ""): "a", Subject("third", ""): "b"},
        fallback="b",
    )  # fmt: skip
    with trained.begin() as connection:
        domain_storage.write_set(connection, wider)
    (report,) = train_domains(trained, DomainTraining(("wider",), encoder="hashing"))
    assert "a has 0 items with a text, b has 0 items with a text: too few" in str(report.note)
    with trained.connect() as connection:
        stored = domain_storage.read_classifier(connection, "wider")
        assert list(stored.domains) == ["sums", "birds"]
        texts = ["owl finch egg nest heron", *MIXED]
        for prompt, found in zip(texts, classify(stored, vectors(texts), k=9), strict=True):
            there = rows(
                connection,
                "SELECT domain, probability FROM registry.classify_prompt("
                "CAST(:v AS vector), 'wider', 9)",
                v=str(vectors([prompt])[0].tolist()),
            )
            assert dict(there) == pytest.approx(
                {each.domain: each.probability for each in found}, abs=1e-4
            )
        assert classify(stored, vectors(texts[:1]))[0][0].domain == "birds"
        assert rows(
            connection,
            "SELECT domain, items FROM registry.domains WHERE domain_set = 'wider' ORDER BY 1",
        ) == [("a", None), ("b", None), ("birds", 60), ("sums", 60)]


def routed(connection: Connection, prompt: str, **options: Any) -> list[dict[str, Any]]:
    return route_domain(connection, vectors([prompt])[0], domain_set="ours", **options)


def test_the_expert_of_the_domain_answers(trained: Engine) -> None:
    with trained.connect() as connection:
        (row,) = routed(connection, "add multiply fraction equation root")
        assert (row["model"], row["domain"], row["confident"]) == ("org/adder", "sums", True)
        assert row["probability"] == pytest.approx(0.9)
        assert row["fallback"] is None
        assert row["router"] == "domain"
        assert "better than the best general model by 0.300" in row["why"]
        (row,) = routed(connection, "heron feather beak nest egg")
        assert (row["model"], row["domain"]) == ("org/birder", "birds")
        found = routed(connection, "add multiply fraction equation root", k=9)
        assert [each["model"] for each in found] == ["org/adder", "org/all", "org/birder"]
        assert [each["why"] is None for each in found] == [False, True, True]


def test_other_prompts_go_to_the_best_general_model_by_name(trained: Engine) -> None:
    with trained.connect() as connection:
        (row,) = routed(connection, "court judge contract appeal jury")
        assert (row["model"], row["domain"], row["confident"]) == ("org/all", "rest", False)
        assert row["fallback"] == (
            "the prompt is of the domain of all others, rest: best general model"
        )
        assert row["probability"] == pytest.approx(0.7)
        (row,) = routed(connection, "qwxz vkjh ypfg mmnb")
        assert row["model"] == "org/all"
        assert "is not certain" in row["fallback"]
        assert "unlike all items" in row["fallback"]
        # Over all domains, since it is not known which.
        assert row["probability"] == pytest.approx(19 / 30, abs=1e-6)


def test_prompts_by_text_are_classified_by_words_too(trained: Engine) -> None:
    found = classify_texts(trained, ["add multiply", "owl finch"], "ours", k=2)
    assert [each[0].domain for each in found] == ["sums", "birds"]
    assert [len(each) for each in found] == [2, 2]
    with pytest.raises(UsageError, match="Prompt 2 is empty"):
        classify_texts(trained, ["add", "  "], "ours")
    with pytest.raises(UsageError, match="The prompt has 1,000,001 characters"):
        classify_texts(trained, ["x" * 1_000_001], "ours")


def test_a_training_replaces_the_one_before(trained: Engine) -> None:
    with trained.connect() as connection:
        before = rows(connection, "SELECT count(*) FROM store.domain_vectors")
        scores = rows(connection, "SELECT * FROM registry.domain_scores ORDER BY 1, 2, 3")
    train_domains(trained, OPTIONS)
    with trained.connect() as connection:
        assert rows(connection, "SELECT count(*) FROM store.domain_vectors") == before
        after = rows(connection, "SELECT * FROM registry.domain_scores ORDER BY 1, 2, 3")
    assert after == scores


def test_sets_that_cannot_be_trained_say_why(trained: Engine) -> None:
    reports = {
        each.name: each for each in train_domains(trained, DomainTraining(encoder="hashing"))
    }
    assert set(reports) == {"modem", "mmlu_pro", "ours"}
    assert reports["ours"].items == 180
    assert "math has 0 items with a text" in str(reports["modem"].note)
    with pytest.raises(UsageError, match="'modem' cannot be trained: math has 0 items"):
        train_domains(trained, DomainTraining(("modem",), encoder="hashing"))
    with pytest.raises(UsageError, match="no set of domains named 'our'; did you mean 'ours'"):
        train_domains(trained, DomainTraining(("our",), encoder="hashing"))
    with trained.connect() as connection:
        with pytest.raises(RegistryError, match="'modem' is not trained"):
            domain_storage.read_classifier(connection, "modem")
        with pytest.raises(RegistryError, match="'modem' is not trained"):
            route_domain(connection, vectors(["add"])[0])


def test_nothing_changes_while_a_training_runs(trained: Engine) -> None:
    with trained.connect() as connection:
        connection.exec_driver_sql("LOCK TABLE store.lock_training IN EXCLUSIVE MODE")
        with pytest.raises(LockHeldError):
            train_domains(trained, OPTIONS)
