"""The real tables of scores beside the checkout, with what the catalog would say of the models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from metabench import DATA, catalog
from numpy.typing import NDArray

from registry.catalog.features import architecture_family
from registry.learning.coldstart.features import Description
from registry.learning.coldstart.lineage_kernel import ParentLink

Places = NDArray[np.intp]
Reals = NDArray[np.float64]

UNBOUNDED = frozenset({
    "chatbot_arena_elo",
    "codeforces_rating",
    "gdpval_aa_elo",
    "swelancer_freelance_dollars",
    "vending_bench_2",
})  # fmt: skip
"""Benchmarks of `benchpress-scores` whose scores are no percentages."""

V2 = ("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO")
EPOCH = pd.Timestamp("2024-01-01")


@dataclass(frozen=True)
class RealTable:
    """Scores of models on benchmarks; shares in [0, 1] but for unbounded benchmarks."""

    models: Sequence[Description]
    benchmarks: Sequence[str]
    bounded: NDArray[np.bool_]
    rows: Places
    columns: Places
    scores: Reals

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dates(self) -> Reals:
        return np.array([np.nan if m.created is None else m.created for m in self.models])

    def parents(self) -> Places:
        """The first parent of each model that is in the table; -1 where there is none."""
        places = {model.name.lower(): place for place, model in enumerate(self.models)}
        found = np.full(len(self.models), -1, np.intp)
        for place, model in enumerate(self.models):
            for link in model.parents:
                parent = places.get(link.name.lower(), -1)
                if parent not in {-1, place}:
                    found[place] = parent
                    break
        return found


def parents() -> dict[str, tuple[ParentLink, ...]]:
    """Lineage from the Hub's records, and what was inferred of others."""
    found: dict[str, tuple[ParentLink, ...]] = {}
    edges = pd.read_csv(DATA / "hub-models" / "lineage_edges.csv")
    for child, rows in edges.groupby("child_id"):
        kin = zip(rows["parent_id"], rows["relation"], strict=True)
        found[str(child)] = tuple(ParentLink(parent, relation) for parent, relation in kin)
    inferred = (
        ("open-llm-leaderboard-v2/contents.csv.gz", "fullname", "Base Model"),
        ("models-by-base/top_models_by_base.csv.gz", "model_id", "mapped_base_model"),
        ("v1-era-source-models/source_models.csv", "hf_repo_id", "source_model"),
    )
    for file, child, parent in inferred:
        rows = pd.read_csv(DATA / file)[[child, parent]].dropna()
        for name, base in rows.itertuples(index=False):
            if base not in {name, "unknown", "Removed"}:
                found.setdefault(name, (ParentLink(base),))
    return found


def v1() -> RealTable:
    """Open LLM Leaderboard v1: 6 benchmarks, lineage, no dates."""
    lineage = parents()
    rows = pd.read_csv(DATA / "open-llm-leaderboard-v1" / "models.csv.gz").drop_duplicates("name")
    benchmarks = ["arc", "hellaswag", "mmlu", "truthfulqa", "winogrande", "gsm8k"]
    rows = rows[rows[benchmarks].notna().any(axis=1)]
    described = catalog(lineage)
    models = [described[str(name)] for name in rows["name"]]
    return _dense(models, benchmarks, rows[benchmarks].to_numpy(np.float64) / 100)


def v2() -> RealTable:
    """Open LLM Leaderboard v2: 6 benchmarks, types, lineage, dates of upload."""
    rows = pd.read_csv(DATA / "open-llm-leaderboard-v2" / "contents.csv.gz")
    rows = rows.sort_values("Submission Date", kind="stable").drop_duplicates("fullname")
    lineage, models = parents(), []
    for row in rows.to_dict("records"):
        size = float(row["#Params (B)"])
        uploaded = row["Upload To Hub Date"]
        uploaded = row["Submission Date"] if pd.isna(uploaded) else uploaded
        name = str(row["fullname"])
        models.append(
            Description(
                name,
                round(size * 1e9) if size > 0 else None,
                architecture_family(None, str(row["Architecture"])),
                None,
                [str(row["Type"])[2:].split(" (")[0].strip(), str(row["Precision"])],
                None if pd.isna(uploaded) else (pd.Timestamp(uploaded) - EPOCH).days,
                lineage.get(name, ()),
            )
        )
    raw = rows[[f"{name} Raw" for name in V2]].to_numpy(np.float64)
    return _dense(models, V2, raw)


def subtasks() -> RealTable:
    """Tasks of the Open LLM Leaderboard v2: 49 scores a model, names only."""
    rows = pd.read_csv(DATA / "open-llm-leaderboard-v2" / "subtask_scores.csv.gz")
    lineage = parents()
    models = [Description(str(name), parents=lineage.get(name, ())) for name in rows["model_id"]]
    return _dense(models, list(rows.columns[1:]), rows.iloc[:, 1:].to_numpy(np.float64))


def benchpress() -> RealTable:
    """84 recent models, 133 benchmarks, from BenchPress."""
    folder = DATA / "benchpress-scores"
    scores = pd.read_parquet(folder / "scores.parquet")
    models = pd.read_csv(folder / "models.csv")
    names = list(pd.read_csv(folder / "benchmarks.csv")["id"])
    described = [
        Description(
            f"{row.provider}/{row.name}",
            tags=["reasoning" if row.reasoning else "plain"],
            created=(pd.Timestamp(str(row.release_date)) - EPOCH).days,
        )
        for row in models.drop(columns="name").assign(name=models["name"]).itertuples(index=False)
    ]
    bounded = np.array([name not in UNBOUNDED for name in names])
    columns = _places(scores["benchmark"], names)
    values = scores["score"].to_numpy(np.float64)
    values = np.where(bounded[columns], np.clip(values / 100, 0, 1), values)
    rows = _places(scores["model"], list(models["id"]))
    return RealTable(described, names, bounded, rows, columns, values)


def benchpress_folds(table: RealTable) -> list[NDArray[np.bool_]]:
    """Which scores each of the published folds hides."""
    folder = DATA / "benchpress-scores"
    folds = pd.read_parquet(folder / "folds.parquet")
    models = list(pd.read_csv(folder / "models.csv")["id"])
    cells = table.rows * len(table.benchmarks) + table.columns
    found = []
    for _, fold in folds.groupby("fold_index"):
        hidden = _places(fold["model"], models) * len(table.benchmarks)
        found.append(np.isin(cells, hidden + _places(fold["benchmark"], table.benchmarks)))
    return found


def livebench(*releases: str) -> RealTable:
    """LiveBench, the named releases: the newest score of a model on a task counts."""
    scores = pd.read_csv(DATA / "livebench-tables" / "scores.csv.gz")
    scores = scores[scores["release"].isin(releases) & scores["score"].notna()]
    scores = scores.sort_values("release", kind="stable")
    scores = scores.drop_duplicates(["model", "task"], keep="last")
    models, tasks = sorted(scores["model"].unique()), sorted(scores["task"].unique())
    return RealTable(
        [Description(name) for name in models],
        tasks,
        np.ones(len(tasks), bool),
        _places(scores["model"], models),
        _places(scores["task"], tasks),
        scores["score"].to_numpy(np.float64) / 100,
    )


def livebench_releases() -> Mapping[str, int]:
    """The number of scores of each release, in the order of time."""
    counts = pd.read_csv(DATA / "livebench-tables" / "scores.csv.gz")["release"].value_counts()
    return {str(name): int(count) for name, count in counts.sort_index().items()}


def _dense(models: Sequence[Description], benchmarks: Sequence[str], raw: Reals) -> RealTable:
    rows, columns = np.nonzero(~np.isnan(raw))
    scores = np.clip(raw[rows, columns], 0, 1)
    return RealTable(models, benchmarks, np.ones(len(benchmarks), bool), rows, columns, scores)


def _places(values: Sequence[str] | pd.Series, names: Sequence[str]) -> Places:
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[value] for value in values], np.intp)
