"""Memory that `registry query` takes, in a process of its own."""

import subprocess
import sys

MEASURED = """
import os, sys
from registry.cli import registry
null = os.open(os.devnull, os.O_WRONLY)
saved = os.dup(1)
os.dup2(null, 1)
try:
    registry(["--database-url", sys.argv[1], "query", *sys.argv[2:]])
except SystemExit as error:
    code = error.code
sys.stdout.flush()
# Of this program alone, where rusage begins with what its parent had.
(used,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
os.write(saved, f"{code} {used}".encode())
"""


def queried(url: str, *arguments: str) -> tuple[int, int]:
    """Run `registry query` without its output; return the exit code and megabytes of memory."""
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, url, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    code, kilobytes = ran.stdout.split()
    return int(code), int(kilobytes) >> 10
