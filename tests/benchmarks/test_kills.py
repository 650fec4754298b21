"""kill -9 of a backend, the server or the command, at random moments of every job.

KILLS sets how many meet a command under way (default 50: about fifteen minutes), KILLS_SEED the
order and the moments.
"""

import os
import random
from collections.abc import Iterator
from itertools import cycle, product
from pathlib import Path

import pytest
from generated_hub.models import generate
from kills import LEARNING, MODELS, TARGETS, Disturbed
from servers import own_directory

from registry.demo.hub.server import HubServer

KILLS = int(os.environ.get("KILLS", "50"))
SEED = int(os.environ.get("KILLS_SEED", "20"))
ACTIONS = ("sync", "import", "train", "place", "promote", "upgrade", "backup")

pytestmark = pytest.mark.benchmark


@pytest.fixture(name="undisturbed")
def undisturbed_fixture() -> Iterator[Path]:
    """A directory for another server."""
    with own_directory() as directory:
        yield directory


@pytest.fixture(name="restored")
def restored_fixture() -> Iterator[Path]:
    """A directory for another server."""
    with own_directory() as directory:
        yield directory


def test_after_each_of_fifty_kills_the_next_command_works_and_nothing_is_lost_or_doubled(
    own_server: Path, undisturbed: Path, restored: Path, tmp_path: Path
) -> None:
    each = list(product(ACTIONS, TARGETS))
    random.Random(SEED).shuffle(each)
    print(f"\nseed {SEED}")
    with HubServer(generate(MODELS), page_limit=50, rate_limit=None) as hub:
        disturbed = Disturbed(own_server, tmp_path, hub, SEED, LEARNING)
        disturbed.prepare(*ACTIONS)
        for action, target in cycle(each):
            if disturbed.struck == KILLS:
                break
            disturbed.round(action, target)
            disturbed.run("db", "check")
        print(
            f"{KILLS} of {len(disturbed.lines)} kills met a command under way; the next command "
            f"took {disturbed.longest:.1f} s at most"
        )
        other = Disturbed(undisturbed, tmp_path, hub, SEED)
        other.replay(disturbed.completed)
        assert disturbed.contents() == other.contents()
        # What a backup holds that was taken among kills.
        before = disturbed.back_up()
        assert disturbed.restored(restored).contents() == before
