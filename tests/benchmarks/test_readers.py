"""32 readers of the contract's functions while jobs run: errors, half answers, and their times.

SECONDS is how long they read before the jobs begin (default 15).
"""

import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from generated_hub.models import generate
from kills import LEARNING, MODELS, Disturbed
from reading import Answer, Readers

from registry.db import embedded
from registry.demo.hub.server import HubServer

SECONDS = float(os.environ.get("SECONDS", "15"))
WARM = 5.0
"""Seconds in which plans and caches are made, whose answers do not count."""

ACTIONS = ("sync", "import", "train", "place", "promote", "backup")
ALLOWED = 3.0
"""The 99th percentile of an answer's seconds while a job runs, against that without one."""

pytestmark = pytest.mark.benchmark


def test_readers_get_whole_answers_while_jobs_run(own_server: Path, tmp_path: Path) -> None:
    with HubServer(generate(MODELS), page_limit=50, rate_limit=None) as hub:
        jobs = Disturbed(own_server, tmp_path, hub, 0, LEARNING)
        jobs.prepare("sync", "import", "train", "place")
        jobs.run("db", "start")
        with embedded.running(own_server):
            # Some models are of the catalog alone, and nothing is known of a few.
            url = jobs.run("db", "url", "--reader").stdout.strip()
            readers = Readers(url, least=jobs.counts()["vectors"])
            readers.start()
            time.sleep(WARM + SECONDS)
            spans = {"idle": (time.time() - SECONDS, time.time())}
            for _ in range(2):
                for action in ACTIONS:
                    began = time.time()
                    jobs.prepare_one(action)
                    spans[action] = began, time.time()
            answers = readers.stop()
    found = [each.wrong for each in answers if each.wrong]
    print(f"\n{len(answers):,} answers, {len(found)} wrong")
    quantiles = _printed(answers, spans)
    assert not found, found[:10]
    idle = quantiles["idle"]
    assert max(quantiles.values()) <= ALLOWED * idle, quantiles


def _printed(
    answers: Sequence[Answer], spans: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """Print milliseconds of answers by what ran meanwhile; return 99th percentiles."""
    quantiles = {}
    by_question = defaultdict(list)
    for span, (began, ended) in spans.items():
        seconds = [each.seconds for each in answers if began <= each.began < ended]
        for each in answers:
            if began <= each.began < ended:
                by_question[each.question, span == "idle"].append(each.seconds)
        quantiles[span] = float(np.quantile(seconds, 0.99))
        middle = float(np.median(seconds))
        print(
            f"  {span:8} {ended - began:5.1f} s, {len(seconds):6,} answers: median"
            f" {middle * 1e3:6.1f} ms, 99% {quantiles[span] * 1e3:7.1f},"
            f" slowest {max(seconds) * 1e3:7.1f}; {quantiles[span] / quantiles['idle']:.2f} x idle"
        )
    for question in dict.fromkeys(each.question for each in answers):
        idle, busy = (np.quantile(by_question[question, each], 0.99) for each in (True, False))
        print(f"  {question:16} 99% {idle * 1e3:7.1f} ms idle, {busy * 1e3:7.1f} while jobs run")
    return quantiles
