"""Runs of lm-evaluation-harness, written as its versions write them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

TIME = "2026-01-21T03-44-18.458309"
TEMPLATE = "Q: {{question}}\nA:"


@dataclass(frozen=True, kw_only=True)
class HarnessRun:
    """A run of a model on the questions of a task.

    `outcomes` has those on each question, by filter; scores are their means unless `scores` states
    others. Questions that are equal are one document that the data set holds more than once.
    """

    questions: Sequence[str]
    outcomes: Mapping[str, Sequence[float]]
    model: str = "acme/m"
    task: str = "t"
    shots: int = 0
    template: str | None = TEMPLATE
    wrapping: str = "{}"
    scores: Mapping[str, float] = field(default_factory=dict)
    items: int | None = -1
    lines: Sequence[int] | None = None
    time: str = TIME
    results_name: str = "results"
    names_filters: bool = True
    filter_list: Sequence[str] | None = None
    date: float = 1768964383.5

    def prompt(self, place: int) -> str:
        """Return the prompt of a question, after its examples."""
        examples = "".join(f"Q: What is {n} less?\nA: {n - 1}\n\n" for n in range(self.shots))
        return self.wrapping.format(f"{examples}Q: {self.questions[place]}\nA:")

    def row(self, place: int, filtered: str) -> dict[str, Any]:
        """Return the sample of a question under a filter."""
        document = {"question": self.questions[place]}
        return {
            "doc_id": place,
            "doc": document,
            "target": "a",
            "arguments": {"gen_args_0": {"arg_0": self.prompt(place), "arg_1": {"until": ["Q:"]}}},
            "resps": [["a"]],
            "filtered_resps": ["a"],
            **({"filter": filtered} if self.names_filters else {}),
            "doc_hash": sha256(json.dumps(document).encode()).hexdigest(),
            "acc": self.outcomes[filtered][place],
        }

    def score(self, filtered: str) -> float:
        """Return the score under a filter."""
        outcomes = self.outcomes[filtered]
        return self.scores.get(filtered, sum(outcomes) / len(outcomes))

    def write(self, folder: Path) -> list[Path]:
        """Write the results and the samples, and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        listed = list(self.outcomes) if self.filter_list is None else self.filter_list
        config: dict[str, Any] = {"task": self.task, "num_fewshot": self.shots}
        if self.template is not None:
            config["doc_to_text"] = self.template
        if listed:
            config["filter_list"] = [{"name": name, "filter": []} for name in listed]
        content: dict[str, Any] = {
            "results": {
                self.task: {f"acc,{name}": self.score(name) for name in sorted(self.outcomes)}
            },
            "configs": {self.task: config},
            "versions": {self.task: 1},
            "n-shot": {self.task: self.shots},
            "config": {"model": "hf", "model_args": f"pretrained={self.model}", "limit": None},
            "date": self.date,
        }
        count = len(self.questions) if self.items == -1 else self.items
        if count is not None:
            content["n-samples"] = {self.task: {"original": count, "effective": count}}
        results = folder / f"{self.results_name}_{self.time}.json"
        results.write_text(json.dumps(content))
        places = range(len(self.questions)) if self.lines is None else self.lines
        rows = [self.row(place, filtered) for filtered in self.outcomes for place in places]
        samples = folder / f"samples_{self.task}_{self.time}.jsonl"
        samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return [results, samples]
