"""Python processes that start at once, forked from one that has imported the registry already.

Starting Python and importing takes up to seconds a process, which tests that need many pay once.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from databases import REPOSITORY

MODULES = (
    "registry.cli.sync",
    "registry.embeddings.refresh",
    "registry.evaluations.importer",
    "registry.sync.sync",
)
"""What syncs and imports import, which in each process would take most of a second."""

# Reads a line of JSON for each process; writes its key at once, and its exit code when it ends.
_SERVER = """
import gc, importlib, json, os, runpy, sys
for line in sys.stdin:
    modules, command, environ, out, err = json.loads(line)
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    child = os.fork()
    if child == 0:
        for number, path in ((0, os.devnull), (1, out), (2, err)):
            os.dup2(os.open(path, os.O_RDWR), number)
        os.environ.update(environ)
        for name in {"huggingface_hub.constants"} & set(sys.modules):
            importlib.reload(sys.modules[name])  # of the environment, which it reads as imported
        if command[0] == "-m":
            sys.argv = command[1:]
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        elif command[0] == "-c":
            sys.argv = ["-c", *command[2:]]
            exec(compile(command[1], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = command
            runpy.run_path(command[0], run_name="__main__")
        sys.exit()
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


_open: "list[Forks]" = []


def forks() -> "Forks":
    """Return what all tests of this process start theirs from."""
    if not _open:
        _open.append(Forks())
    return _open[0]


def close() -> None:
    """End it, if there is one."""
    while _open:
        _open.pop().close()


class Ended(NamedTuple):
    """Exit code, negative for a signal, and what a process wrote."""

    returncode: int
    stdout: str
    stderr: str


class Forked:
    """A process under way."""

    def __init__(self, server: "subprocess.Popen[str]", out: Path, err: Path) -> None:
        assert server.stdout
        self._server, self._out, self._err = server.stdout.fileno(), out, err
        self.pid = self._number()
        self.ended: Ended | None = None

    def kill(self) -> None:
        """End it by SIGKILL, if it has not ended: see what `wait` returns."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def running(self) -> bool:
        """Tell whether it has not ended."""
        return self.ended is None and not select.select([self._server], [], [], 0)[0]

    def wait(self) -> Ended:
        """Wait for its end."""
        if self.ended is None:
            self.ended = Ended(self._number(), self._out.read_text(), self._err.read_text())
        return self.ended

    def _number(self) -> int:
        """Read a line of the server and nothing of the next, which `running` looks for."""
        line = b""
        while not line.endswith(b"\n"):
            read = os.read(self._server, 1)
            assert read, "the process that others are forked from has ended"
            line += read
        return int(line)


class Forks:
    """Starts processes as `python` does, one at a time."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="registry-forks-")
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            # Threads do not survive a fork.
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1",
                 "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def close(self) -> None:
        """End the process that others are forked from."""
        self._server.communicate()
        self._directory.cleanup()

    @contextmanager
    def started(
        self,
        *command: str,
        environ: Mapping[str, str] | None = None,
        modules: Sequence[str] = (),
    ) -> Iterator[Forked]:
        """Start what `python` would with these arguments; it is killed if it outlives the block.

        Args:
            command: -m and a module, -c and code, or a script; then its arguments.
            environ: of the environment, what is to be other than here.
            modules: what is imported before, once for all processes.
        """
        out, err = (Path(self._directory.name, name) for name in ("out", "err"))
        for path in (out, err):
            path.write_bytes(b"")
        assert self._server.stdin
        told = [*MODULES, *modules], command, environ or {}, str(out), str(err)
        self._server.stdin.write(json.dumps(told) + "\n")
        self._server.stdin.flush()
        process = Forked(self._server, out, err)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def run(
        self,
        *command: str,
        environ: Mapping[str, str] | None = None,
        modules: Sequence[str] = (),
    ) -> Ended:
        """Start a process and wait for its end."""
        with self.started(*command, environ=environ, modules=modules) as process:
            return process.wait()
