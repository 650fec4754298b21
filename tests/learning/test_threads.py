"""How waiting threads behave, as the processes see it that load torch."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("stated", "seen"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_give_way_unless_the_user_says_otherwise(
    stated: str | None, seen: str
) -> None:
    own = {} if stated is None else {"OMP_WAIT_POLICY": stated}
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    code = "import registry.learning.factorization.irt, os; print(os.environ['OMP_WAIT_POLICY'])"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | own,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert printed.strip() == seen
