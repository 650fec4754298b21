"""`registry doctor`: a line for each requirement."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import click

from registry.cli.application import Application
from registry.cli.failures import explained
from registry.cli.output import Field, Output, output_options

if TYPE_CHECKING:
    from sqlalchemy import Connection

UNREACHABLE = 4

LITTLE_SPACE = 5 * 2**30
"""Free bytes below which the disk gets a warning."""

_SHOWN = 60
"""Characters of a statement that a line has room for."""

PATIENCE = 5.0
"""Seconds for which requests to a Hub that does not answer are repeated."""


class Finding(NamedTuple):
    """The result of one check: its verdict, and the state or what to do."""

    check: str
    verdict: Literal["ok", "warn", "fail"]
    found: str


@click.command()
@click.option("--online", is_flag=True, help="Check that the Hub answers, by one request.")
@output_options
@click.pass_context
def doctor(ctx: click.Context, online: bool, output: Output) -> None:
    """Check what the registry needs, and say what to do.

    \b
    Example:
      registry doctor --online
    """
    application = ctx.ensure_object(Application)
    findings = [*_setting(application)]
    reached = list(_database(application))
    findings += reached
    findings += [*_disk(), *_hub(online=online), *_training()]
    output.rows(
        [Field("check"), Field("verdict", kept=True), Field("found", kept=True, whole=True)],
        findings,
    )
    if any(each.verdict == "fail" and each.check in _OF_DATABASE for each in findings):
        ctx.exit(UNREACHABLE)
    if any(each.verdict == "fail" for each in findings):
        ctx.exit(1)


_OF_DATABASE = {"server", "schema", "grants"}


def _setting(application: Application) -> Iterator[Finding]:
    where = application.setting()
    yield Finding("setting", "ok", f"{where.shown}, from {where.origin}")


def _database(application: Application) -> Iterator[Finding]:
    try:
        with application.engine() as engine, engine.connect() as connection:
            yield from _server(connection)
            yield from _schema(connection)
            yield from _rights(connection)
    except click.exceptions.Exit:
        raise
    except Exception as error:  # noqa: BLE001 - every failure is a finding
        failure = explained(error, application)
        yield Finding("server", "fail", failure.message)


def _server(connection: Connection) -> Iterator[Finding]:
    from registry.db import server
    from registry.errors import RegistryError

    yield Finding("server", "ok", f"Postgres {server.version(connection)} answers")
    try:
        server.require_extensions(connection)
    except RegistryError as error:
        yield Finding("extensions", "fail", str(error))
        return
    versions = (
        f"{name} {installed or f'{offered} (offered)'}"
        for name, installed, offered in server.extensions(connection)
    )
    yield Finding("extensions", "ok", ", ".join(versions))


def _schema(connection: Connection) -> Iterator[Finding]:
    from registry.db import revisions, sql
    from registry.errors import SchemaNotAtHeadError

    try:
        revisions.require_head(connection)
        sql.require_current(connection)
    except SchemaNotAtHeadError as error:
        yield Finding("schema", "fail", str(error))
    else:
        yield Finding("schema", "ok", f"at head, revision {revisions.head_revision()}")
        yield _grants(connection)


def _grants(connection: Connection) -> Finding:
    from registry.db import migrate
    from registry.errors import SchemaNotAtHeadError

    try:
        migrate.require_grants(connection)
    except SchemaNotAtHeadError as error:
        return Finding("grants", "fail", str(error))
    return Finding("grants", "ok", "owners, grants and comments are this version's")


def _rights(connection: Connection) -> Iterator[Finding]:
    from registry.db import server
    from registry.db.revisions import current_revision

    if current_revision(connection) is not None:  # `registry db upgrade` makes the role, too
        yield _queries(connection)
        yield _open_rights(connection)
    rights = server.rights(connection)
    if rights.read_only:
        yield Finding("rights", "warn", "The server only reads (a standby?): sync needs another.")
    elif not rights.temporary:
        yield Finding(
            "rights",
            "fail",
            f"{rights.user} may not create temporary tables, which sync needs: GRANT TEMPORARY.",
        )
    elif not rights.writes:
        yield Finding(
            "rights", "warn", f"{rights.user} may not write to the tables, or there are none."
        )
    else:
        yield Finding("rights", "ok", f"{rights.user} may read, write and create temporary tables")


def _queries(connection: Connection) -> Finding:
    from registry.db.query import login
    from registry.errors import RegistryError

    try:
        found = login.described(connection)
    except RegistryError as error:
        return Finding("roles", "warn", str(error))
    return Finding("roles", "ok", found)


def _open_rights(connection: Connection) -> Finding:
    from registry.db import roles

    statements = roles.open_to_all(connection)
    if not statements:
        return Finding("readers", "ok", "every login may do no more here than its roles may")
    return Finding(
        "readers",
        "warn",
        "Every login may connect to other databases here, make temporary tables, call functions "
        "that write to disk or lock, or has rights that somebody gave to PUBLIC. "
        "Where no other program needs that, revoke it (docs/operations.md, Roles and limits): "
        + "; ".join(map(_beginning, statements)),
    )


def _beginning(statement: str) -> str:
    return statement if len(statement) <= _SHOWN else f"{statement[:_SHOWN]}..."


def _disk() -> Iterator[Finding]:
    from registry.db import embedded

    directory = embedded.default_data_directory()
    existing = next(each for each in (directory, *directory.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    state = f"{directory}, {free / 2**30:,.1f} GiB free"
    if free < LITTLE_SPACE:
        yield Finding("disk", "warn", f"{state}: a full catalog takes about 10 GiB.")
    elif not os.access(existing, os.W_OK) and not directory.exists():
        yield Finding("disk", "warn", f"{state}, but you may not write to {existing}.")
    else:
        yield Finding("disk", "ok", state)


def _hub(*, online: bool) -> Iterator[Finding]:
    endpoint = _without_user(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    has_token = bool(
        os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN") or _token_file()
    )
    token = "with a token" if has_token else "without a token (HF_TOKEN doubles the rate limit)"
    if not online:
        yield Finding("hub", "ok", f"{endpoint}, {token}; --online checks it")
        return
    from registry.errors import RegistryError
    from registry.hub import client as hub
    from registry.hub.decode import decode_page

    def read(page: hub.RawPage) -> object:
        return decode_page(page.body)

    try:
        source = hub.Hub(patience=PATIENCE)
        source.fetch(source.first_url(hub.ListingQuery(page_size=1)), read)
    except RegistryError as error:
        yield Finding("hub", "fail", f"{endpoint}, {token}: {error}")
    else:
        yield Finding("hub", "ok", f"{endpoint} answers, {token}")


def _without_user(endpoint: str) -> str:
    before, mark, host = endpoint.rpartition("@")
    return f"{before.partition('://')[0]}://{host}" if mark else endpoint


def _token_file() -> bool:
    home = os.environ.get("HF_HOME")
    folder = Path(home).expanduser() if home else Path("~/.cache/huggingface").expanduser()
    chosen = os.environ.get("HF_TOKEN_PATH")
    return (Path(chosen).expanduser() if chosen else folder / "token").is_file()


def _training() -> Iterator[Finding]:
    if util.find_spec("torch") is None:
        yield Finding("torch", "ok", "not installed; only training needs it: llm-registry[train]")
    else:
        yield Finding("torch", "ok", "installed")
