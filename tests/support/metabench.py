"""The real outcomes of metabench, and what the catalog says of its models, beside the checkout."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from registry.catalog.features import architecture_family
from registry.learning.coldstart.features import Description
from registry.learning.coldstart.lineage_kernel import ParentLink

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FILES = ("arc", "arc_secondary", "gsm8k", "gsm8k_secondary", "mmlu", "truthfulqa", "winogrande")


class Responses(NamedTuple):
    """Outcomes of the models that took all benchmarks: a row a model, a column an item."""

    table: pd.DataFrame
    files: NDArray[np.int64]
    """Which of `FILES` each item is from."""


def responses() -> Responses:
    """Read the outcomes."""
    tables = [
        pd.read_parquet(DATA / "metabench-responses" / f"responses_{name}.parquet")
        for name in FILES
    ]
    whole = pd.concat([table.set_index("model") for table in tables], axis=1, join="inner")
    return Responses(
        whole, np.repeat(np.arange(len(tables)), [table.shape[1] - 1 for table in tables])
    )


def catalog(
    lineage: Mapping[str, tuple[ParentLink, ...]] | None = None,
) -> dict[str, Description]:
    """Read names, sizes, architectures and precisions; no score of any model.

    Args:
        lineage: parents of models, by name.
    """
    rows = pd.read_csv(DATA / "open-llm-leaderboard-v1" / "models.csv.gz").drop_duplicates("name")
    found = {}
    for row in rows.itertuples():
        family = None if row.arch == "error" else architecture_family(None, str(row.arch))
        size = round(float(str(row.size)) * 1e9) if float(str(row.size)) > 0 else None
        tags = [str(row.precision), *(["moe"] if row.moe else [])]
        name = str(row.name)
        links = (lineage or {}).get(name, ())
        found[name] = Description(name, size, family, None, tags, None, links)
    return found
