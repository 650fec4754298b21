"""Readers of the contract's functions side by side: seconds of answers, and whether each is whole.

Run as a program, it prints one JSON list: for each answer its name, when it began, its seconds, and
what was wrong with it, or null.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, NamedTuple

import psycopg

QUESTIONS = {
    # Each in one statement: a version is whole in it, or was never.
    "embeddings": "SELECT version, count(*), count(*) FILTER (WHERE kind = 'trained')"
    " FROM registry.embeddings GROUP BY version",
    "nearest_models": "SELECT name FROM registry.nearest_models('org/m1', 5)",
    "predict_outcome": "SELECT probability FROM registry.predict_outcome('org/m2',"
    " (SELECT 'b1:' || min(item) FROM registry.items WHERE benchmark = 'b1'))",
    "search_models": "SELECT name FROM registry.search_models('model', 5)",
    "similar_models": "SELECT s.name FROM (SELECT min(name) AS name FROM registry.models"
    " WHERE state = 'available') AS m, registry.similar_models(m.name, 5) AS s",
    "leaderboard": "SELECT model FROM registry.leaderboard WHERE benchmark = 'b1' LIMIT 5",
    "ancestors": "SELECT ancestor FROM registry.ancestors('org/m4')",
    "models": "SELECT name FROM registry.models ORDER BY downloads DESC NULLS LAST LIMIT 5",
}


class Answer(NamedTuple):
    """One answer: when it began, in seconds since the epoch, and what was wrong."""

    question: str
    began: float
    seconds: float
    wrong: str | None


@dataclass
class Readers:
    """Processes with eight readers each, from `start` to `stop`."""

    url: str
    least: int
    processes: int = 4
    _running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self) -> None:
        """Start the processes."""
        for number in range(self.processes):
            command = [sys.executable, __file__, self.url, str(self.least), str(number)]
            self._running.append(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )

    def stop(self) -> list[Answer]:
        """Stop the processes; return all answers."""
        answers = []
        for process in self._running:
            said, _ = process.communicate("stop\n", timeout=120)
            answers += [Answer(*each) for each in json.loads(said)]
        self._running.clear()
        return answers


def wrong(question: str, rows: Sequence[Sequence[Any]], least: int) -> str | None:
    """Return what is wrong with an answer."""
    if question != "embeddings":
        return None if rows or question == "ancestors" else f"{question}: no rows"
    if len(rows) != 1:
        return f"rows of {len(rows)} versions: {list(map(list, rows))}"
    version, count, trained = rows[0]
    if count < least or not trained:
        return f"version {version} has {count} vectors, {trained} trained, of {least} at least"
    return None


def _ask(url: str, least: int, first: int, ended: Event, answers: list[Answer]) -> None:
    questions = list(QUESTIONS.items())
    with psycopg.connect(url, autocommit=True) as connection:
        place = first
        while not ended.is_set():
            question, query = questions[place % len(questions)]
            place += 1
            began = time.time()
            try:
                rows = connection.execute(query.encode()).fetchall()
                found = wrong(question, rows, least)
            except psycopg.Error as error:
                found = f"{question}: {error}"
            answers.append(Answer(question, began, time.time() - began, found))
            # People and programs read what they asked for; the machine is not theirs alone.
            ended.wait(0.1)


def main(url: str, least: str, number: str) -> None:
    """Ask until a line comes, then print the answers."""
    ended = Event()
    answers: list[Answer] = []
    threads = [
        Thread(target=_ask, args=(url, int(least), 8 * int(number) + each, ended, answers))
        for each in range(8)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    ended.set()
    for thread in threads:
        thread.join()
    print(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
