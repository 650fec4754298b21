"""A few kills of what tests/benchmarks/test_kills.py does many times."""

from pathlib import Path

import pytest
from generated_hub.models import generate
from kills import MODELS, Disturbed
from servers import on_linux

from registry.demo.hub.server import HubServer

pytestmark = on_linux


@pytest.mark.long
def test_after_a_kill_the_next_command_works_and_nothing_is_lost_or_doubled(
    own_server: Path, tmp_path: Path
) -> None:
    with HubServer(generate(MODELS), page_limit=50, rate_limit=None) as hub:
        disturbed = Disturbed(own_server, tmp_path, hub, seed=1)
        disturbed.prepare()
        disturbed.expect("import", 1.0)
        disturbed.expect("sync", 1.0)
        for action, target in (("import", "backend"), ("sync", "postmaster")):
            disturbed.round(action, target, keeps=True)
