"""Domains of prompts on real data: classifiers beside baselines, unseen tasks, and MoDEM's table.

`pytest -m benchmark tests/benchmarks/test_domain_quality.py -s`. Five seeds; intervals of 95% over
seeds. Prompts are encoded once, in minutes, and kept in pytest's cache. Bars are aims: what is
printed counts, and the assertions hold what is reached.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from routing_tables import DATA, RoutingTable, encoded, llmrouter, mmlu_pro
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression

from registry.learning.arrays import Places, Reals
from registry.learning.domains.domain_calibration import area_under_curve, classifier_figures
from registry.learning.domains.domain_classifier import (
    LEAST_ITEMS,
    LearnedClassifier,
    learn_classifier,
)
from registry.learning.domains.expert_router import ExpertRouter
from registry.learning.factorization.problem import Context, Matrix
from registry.prediction.domains.domain_sets import shipped_sets

SEEDS = range(5)

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data sets beside the checkout"),
]

Row = dict[str, list[float]]


@pytest.fixture
def kept(pytestconfig: pytest.Config) -> Path:
    """The folder of vectors of prompts, which take minutes to make."""
    assert pytestconfig.cache is not None
    return pytestconfig.cache.mkdir("vectors")


def split(groups: Places, seed: int, share: float = 0.2) -> tuple[Places, Places]:
    """Return items to learn from and held-out ones, a share of each group."""
    rng = np.random.default_rng(seed)
    held = np.zeros(len(groups), bool)
    for group in np.unique(groups):
        items = rng.permutation(np.flatnonzero(groups == group))
        held[items[: round(share * len(items))]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def interval(values: Sequence[float]) -> str:
    """Write the mean over seeds with its 95% interval."""
    mean, count = float(np.mean(values)), len(values)
    half = student.ppf(0.975, count - 1) * np.std(values, ddof=1) / count**0.5
    return f"{mean:.4f} [{mean - half:.4f}, {mean + half:.4f}]"


def logistic(known: Matrix, domains: Places, asked: Matrix) -> Matrix:
    return np.asarray(
        LogisticRegression(C=1.0, max_iter=200).fit(known, domains).predict_proba(asked), np.float32
    )


def neighbours(known: Matrix, domains: Places, asked: Matrix) -> Matrix:
    nearest = np.argpartition(-(asked @ known.T), 20, axis=1)[:, :20]
    shares = np.zeros((len(asked), int(domains.max()) + 1), np.float32)
    for place in range(20):
        np.add.at(shares, (np.arange(len(asked)), domains[nearest[:, place]]), np.float32(1 / 20))
    return shares


BASELINES: Mapping[str, Callable[[Matrix, Places, Matrix], Matrix]] = {
    "logistic regression": logistic,
    "20 nearest items": neighbours,
}


def table(
    title: str, vectors: Matrix, domains: Places, groups: Places, texts: Sequence[str]
) -> Row:
    """Print figures of ours and of baselines on held-out items; return accuracies."""
    figures: dict[str, list[Sequence[float]]] = {}
    count = int(domains.max()) + 1
    for seed in SEEDS:
        known, asked = split(groups, seed)
        learned = learn(vectors, domains, known, texts, seed)
        words = [texts[each] for each in asked.tolist()]
        found = {
            "ours, by vector (SQL)": learned.classifier.predict(vectors[asked]).probabilities,
            "ours, with words": learned.classifier.predict(vectors[asked], words).probabilities,
        } | {
            name: baseline(vectors[known], domains[known], vectors[asked])
            for name, baseline in BASELINES.items()
        }
        for name, probabilities in found.items():
            each = classifier_figures(probabilities, domains[asked])
            figures.setdefault(name, []).append(
                (each.accuracy, each.calibration_error, each.confidence_auc)
            )
    print(f"\n{title}: {len(domains):,} items, {count} domains")
    for name, values in figures.items():
        accuracy, error, auc = (interval(each) for each in zip(*values, strict=True))
        print(f"  {name:24s} accuracy {accuracy}  ECE {error}  AUC of confidence {auc}")
    return {name: [each[0] for each in values] for name, values in figures.items()}


def learn(
    vectors: Matrix,
    domains: Places,
    known: Places,
    texts: Sequence[str],
    seed: int = 0,
) -> LearnedClassifier:
    count = int(domains.max()) + 1
    return learn_classifier(
        vectors[known], domains[known], count, [texts[each] for each in known.tolist()], seed=seed
    )


def named(kind: str) -> Sequence[str]:
    """Return the groups of a data set in the order in which they are numbered."""
    if kind == "llmrouter":
        column = pd.read_parquet(DATA / "llmrouter-queries" / "items.parquet")["task"]
    else:
        column = pd.read_parquet(DATA / "mmlu-pro-responses" / "questions.parquet")["category"]
    return list(pd.factorize(column)[1])


def modem(kind: str, groups: Places) -> Places:
    """Return MoDEM's domains of items; -1 for those that no subject of the set names."""
    places = shipped_sets()[0].places()
    by_group = [places.of(kind, each) for each in named(kind)]
    return np.array([-1 if each is None else each for each in by_group], np.intp)[groups]


def test_categories_of_mmlu_pro(kept: Path) -> None:
    of = mmlu_pro(kept)
    groups = of.problem.groups
    found = table("MMLU-Pro's categories", of.problem.vectors, groups, groups, of.prompts)
    assert np.mean(found["ours, by vector (SQL)"]) >= 0.815
    assert np.mean(found["ours, with words"]) >= 0.835


def test_tasks_of_llmrouter(kept: Path) -> None:
    of = llmrouter(kept)
    groups = of.problem.groups
    found = table("LLMRouter's tasks", of.problem.vectors, groups, groups, of.prompts)
    assert np.mean(found["ours, by vector (SQL)"]) >= 0.90
    assert np.mean(found["ours, with words"]) >= 0.92


def both(kept: Path) -> tuple[Matrix, Places, Places, Sequence[str]]:
    """Return vectors, MoDEM's domains, groups and texts of both data sets, of mapped items."""
    first, second = llmrouter(kept), mmlu_pro(kept)
    vectors = np.concatenate([first.problem.vectors, second.problem.vectors])
    domains = np.concatenate(
        [modem("llmrouter", first.problem.groups), modem("mmlu_pro", second.problem.groups)]
    )
    groups = np.concatenate([first.problem.groups, second.problem.groups + 100])
    mapped = np.flatnonzero(domains >= 0)
    texts = [*first.prompts, *second.prompts]
    return vectors[mapped], domains[mapped], groups[mapped], [texts[each] for each in mapped]


def test_domains_of_modem(kept: Path) -> None:
    vectors, domains, groups, texts = both(kept)
    found = table("MoDEM's domains, both data sets", vectors, domains, groups, texts)
    of = llmrouter(kept)
    own = modem("llmrouter", of.problem.groups)
    mapped = np.flatnonzero(own >= 0)
    # No task of LLMRouter is of health alone.
    numbers = np.unique(own[mapped], return_inverse=True)[1].astype(np.intp)
    table(
        "MoDEM's domains, LLMRouter alone", of.problem.vectors[mapped], numbers,
        of.problem.groups[mapped], [of.prompts[each] for each in mapped.tolist()],
    )  # fmt: skip
    assert np.mean(found["ours, with words"]) >= 0.88


def test_tasks_that_training_never_saw(kept: Path) -> None:
    vectors, domains, groups, texts = both(kept)
    print("\nMoDEM's domains of a task that was left out, each of LLMRouter's and MMLU-Pro's")
    names = [*named("llmrouter"), *[""] * 100]
    names[100:] = named("mmlu_pro")
    results: dict[str, list[float]] = {}
    weights = []
    for group in np.unique(groups).tolist():
        asked, known = np.flatnonzero(groups == group), np.flatnonzero(groups != group)
        own = int(domains[asked[0]])
        if (domains[known] == own).sum() < 100:
            print(f"  {names[group]:24s} has no other task of its domain")
            continue
        learned = learn(vectors, domains, known, texts)
        words = [texts[each] for each in asked.tolist()]
        found = {
            "ours, by vector (SQL)": learned.classifier.predict(vectors[asked]).probabilities,
            "ours, with words": learned.classifier.predict(vectors[asked], words).probabilities,
            "logistic regression": logistic(vectors[known], domains[known], vectors[asked]),
        }
        shares = {name: float((p.argmax(axis=1) == own).mean()) for name, p in found.items()}
        weights.append(len(asked))
        for name, share in shares.items():
            results.setdefault(name, []).append(share)
        line = "  ".join(f"{name} {share:.3f}" for name, share in shares.items())
        print(f"  {names[group]:24s} {len(asked):5,d} items  {line}")
    for name, of_tasks in results.items():
        mean = float(np.average(of_tasks, weights=weights))
        print(f"  {name:24s} over items {mean:.4f}, over tasks {np.mean(of_tasks):.4f}")


def test_out_of_scope_of_clinc(kept: Path) -> None:
    utterances = pd.read_parquet(DATA / "clinc150-domains" / "utterances.parquet")
    file = kept / "minilm-clinc150.npy"
    if not file.exists():
        np.save(file, encoded(list(utterances["text"])))
    vectors: Matrix = np.load(file)
    outside = (utterances["domain"] == "oos").to_numpy()
    names = [each for each in pd.unique(utterances["domain"]) if each != "oos"]
    domains = np.array(
        [names.index(each) if each in names else -1 for each in utterances["domain"]]
    )
    part = utterances["split"].to_numpy()
    known = np.flatnonzero((part == "train") & ~outside)
    asked = np.flatnonzero((part == "test") & ~outside)
    strange = np.flatnonzero((part == "test") & outside)
    texts = list(utterances["text"])
    scores: Row = {}
    for seed in SEEDS:
        learned = learn(vectors, domains, known, texts, seed)
        own = learned.classifier.predict(vectors[asked])
        other = learned.classifier.predict(vectors[strange])
        by_words = learned.classifier.predict(vectors[asked], [texts[each] for each in asked])
        right = float((by_words.probabilities.argmax(axis=1) == domains[asked]).mean())
        figures = classifier_figures(own.probabilities, domains[asked])
        for name, value in (
            ("accuracy by vector", figures.accuracy),
            ("ECE by vector", figures.calibration_error),
            ("AUC of confidence", figures.confidence_auc),
            ("accuracy with words", right),
            ("AUROC out of scope, energy", area(own.energies, other.energies)),
            ("AUROC out of scope, probability",
             area(own.probabilities.max(axis=1), other.probabilities.max(axis=1))),
        ):  # fmt: skip
            scores.setdefault(name, []).append(value)
    nearest = area(
        (vectors[asked] @ vectors[known].T).max(axis=1),
        (vectors[strange] @ vectors[known].T).max(axis=1),
    )
    plain = logistic(vectors[known], domains[known], vectors[asked])
    print(
        f"\nCLINC150: {len(known):,} utterances to learn from, {len(asked):,} and {len(strange):,}"
    )
    for name, values in scores.items():
        print(f"  {name:32s} {interval(values)}")
    print(f"  nearest item: AUROC out of scope {nearest:.4f}")
    print(f"  logistic regression: accuracy {(plain.argmax(axis=1) == domains[asked]).mean():.4f}")
    assert np.mean(scores["accuracy by vector"]) >= 0.97
    assert np.mean(scores["AUROC out of scope, energy"]) >= 0.95


def area(higher: Matrix, lower: Matrix) -> float:
    return area_under_curve(higher.astype(np.float64), lower.astype(np.float64))


def modem_table(title: str, of: RoutingTable, kind: str) -> None:
    """Print accuracy and mean price of a routed system beside those of the best single model.

    The router is that which is served, `ExpertRouter`: by the shipped set, and with a domain for
    each group, where no domain is that of all others.
    """
    outcomes, vectors = of.problem.outcomes, of.problem.vectors
    groups, prices = of.problem.groups, of.problem.costs[:, 0]
    names = named(kind)
    shipped = shipped_sets()[0]
    places = shipped.places()
    numbers = [places.of(kind, each) for each in names]
    mapped = {group: number for group, number in enumerate(numbers) if number is not None}
    sets = {
        "MoDEM's domains": ExpertRouter(mapped, shipped.fallback_number),
        "a domain for each group": ExpertRouter(),
    }
    for name, router in sets.items():
        rows: dict[str, list[Reals]] = {}
        costs: Row = {}
        by_group: dict[str, list[Reals]] = {}
        aside = []
        for seed in SEEDS:
            known, asked = split(groups, seed)
            fitted = router.fit(of.problem.only(known), Context(seed=seed))
            counted = fitted.rows(vectors[asked])
            aside.append(float((counted == 0).mean()))
            true = true_rows(router, groups[known], groups[asked])
            best = int(fitted.experts[0])
            found = {
                "experts": fitted.experts[counted],
                "best single model": np.full(len(asked), best),
                "experts of the true domain": fitted.experts[true],
            }
            assert found["experts"].tolist() == (
                fitted.predict(vectors[asked]).probabilities.argmax(axis=1).tolist()
            )
            for system, picks in found.items():
                right = outcomes[picks, asked].astype(np.float64)
                rows.setdefault(system, []).append(right)
                costs.setdefault(system, []).append(float(prices[picks].mean()))
                by_group.setdefault(system, []).append(
                    np.array([right[groups[asked] == each].mean() for each in range(len(names))])
                )
        print(f"\n{title}, {name}: {np.mean(aside):.1%} of prompts of no certain domain")
        print("  accuracy, difference to the best single model, price")
        for system, right in rows.items():
            accuracy = [float(each.mean()) for each in right]
            gain = [
                float((one - two).mean())
                for one, two in zip(right, rows["best single model"], strict=True)
            ]
            print(
                f"  {system:28s} {interval(accuracy)}  {interval(gain)}  "
                f"${np.mean(costs[system]):.3f}"
            )
        shown = ("experts", "best single model", "experts of the true domain")
        for place, group in enumerate(names):
            line = "  ".join(
                f"{np.mean([each[place] for each in by_group[system]]):.3f}" for system in shown
            )
            print(f"    {group:24s} {line}")


def true_rows(router: ExpertRouter, known: Places, asked: Places) -> Places:
    """Return the row of each asked group's domain; 0 where none was learned."""
    of = router.domains or {group: group for group in np.unique(known).tolist()}
    domains = np.array([of.get(group, -1) for group in known.tolist()])
    numbers = np.bincount(domains[domains >= 0])
    present = np.flatnonzero(numbers >= LEAST_ITEMS).tolist()
    row = {domain: 1 + place for place, domain in enumerate(present)}
    return np.array([row.get(of.get(group, -1), 0) for group in asked.tolist()], np.intp)


def test_table_of_modem_on_llmrouter(kept: Path) -> None:
    of = llmrouter(kept)
    modem_table("LLMRouter, all 9 models", of, "llmrouter")
    sizes = pd.read_csv(DATA / "llmrouter-queries" / "models.csv").set_index("name")["size"]
    small = np.flatnonzero([_billions(str(sizes[each])) <= 10 for each in of.models])
    problem = of.problem
    part = RoutingTable(
        type(problem)(
            problem.outcomes[small], problem.vectors, problem.groups, problem.costs[small]
        ),
        [of.models[each] for each in small.tolist()],
        of.prompts,
    )
    modem_table(f"LLMRouter, {len(small)} models of up to 10B", part, "llmrouter")


def _billions(size: str) -> float:
    digits = "".join(each for each in size if each.isdigit() or each == ".")
    return float(digits) if digits else np.inf


def test_table_of_modem_on_mmlu_pro(kept: Path) -> None:
    modem_table("MMLU-Pro, 28 models (no prices)", mmlu_pro(kept), "mmlu_pro")
