"""`registry db`, `status`, `doctor` and `jobs`."""

import ast
import json
import re
from pathlib import Path

import factories
import psycopg
import pytest
from cli_commands import Commands
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from registry.cli.jobs import KNOWN
from registry.db import connection as database
from registry.db import embedded, revisions

REPOSITORY = Path(__file__).resolve().parents[2]


def test_upgrade_and_downgrade(empty_database_url: str) -> None:
    commands, head = Commands(empty_database_url), revisions.head_revision()
    assert commands.json("db", "current") == [{"revision": None, "head": head, "at_head": False}]
    assert commands("db", "upgrade").stderr == f"Upgraded the database from nothing to {head}.\n"
    assert (
        commands("db", "upgrade").stderr
        == f"The database stays at revision {head}, with this version's views and functions.\n"
    )
    assert commands.json("db", "current") == [{"revision": head, "head": head, "at_head": True}]
    assert "--yes" in commands.refused(2, "db", "downgrade", "base")
    done = commands("db", "downgrade", "0001", "--yes")
    assert (done.exit_code, done.stderr) == (0, f"Downgraded the database from {head} to 0001.\n")
    assert "at revision 0001" in commands.refused(4, "status")
    assert "at revision 0001" in commands.refused(4, "db", "check")
    back = commands("db", "upgrade", "--revision", "0002")
    assert (back.exit_code, back.stderr) == (0, "Upgraded the database from 0001 to 0002.\n")
    done = commands("db", "downgrade", "base", "--yes")
    assert (done.exit_code, done.stderr) == (0, "Downgraded the database from 0002 to nothing.\n")


def test_in_the_embedded_database_a_reader_can_only_read(own_server: Path) -> None:
    commands, place = Commands(None), {"REGISTRY_DATA_DIR": str(own_server)}
    commands.done("db", "start", **place)
    commands.done("db", "upgrade", **place)
    url = make_url(commands.done("db", "url", **place).strip())
    owner = database.create_engine(url)
    with owner.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE analyst LOGIN PASSWORD 'x'")
        connection.exec_driver_sql("GRANT registry_reader TO analyst")
    reader = database.create_engine(url.set(username="analyst", password="x"))
    for statement in (
        "CREATE TEMPORARY TABLE mine (n int)",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'x')",
    ):
        with reader.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
            connection.exec_driver_sql(statement)
    with reader.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM registry.models").scalar() == 0
    # The registry's own work goes on, and an upgrade may be repeated.
    assert commands.done("query", "SELECT 1 AS one", **place) == "one\n1\n"
    commands.done("db", "upgrade", **place)
    with owner.begin() as connection:
        connection.exec_driver_sql("SET LOCAL ROLE registry_owner")
        connection.exec_driver_sql("CREATE TEMPORARY TABLE mine (n int)")


def test_a_database_of_others_stays_theirs(empty_database_url: str) -> None:
    Commands(empty_database_url).done("db", "upgrade")
    with database.create_engine(empty_database_url).connect() as connection:
        connection.exec_driver_sql("SET ROLE registry_reader")
        connection.exec_driver_sql("CREATE TEMPORARY TABLE theirs (n int)")
        connection.exec_driver_sql("SELECT lo_create(0)")


def test_upgrade_to_nowhere(commands: Commands) -> None:
    assert "'9999'" in commands.refused(2, "db", "upgrade", "--revision", "9999")


def test_check(commands: Commands, engine: Engine) -> None:
    done = commands("db", "check")
    assert (done.exit_code, done.stdout) == (0, "")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE store.models ADD COLUMN mine text"))
    assert "mine" in commands.refused(1, "db", "check")
    with engine.begin() as connection:
        connection.execute(text("UPDATE store.sql_objects SET fingerprint = 'older'"))
    assert "views and functions" in commands.refused(4, "db", "check")


def test_url_is_one_that_psql_takes(database_url: str) -> None:
    url = Commands(database_url).done("db", "url").strip()
    assert url.startswith("postgresql://")
    with psycopg.connect(url) as connection:
        assert connection.info.dbname == make_url(database_url).database


def test_dictionary(commands: Commands) -> None:
    assert "`license`" in commands.done("db", "dictionary")


@pytest.mark.parametrize("command", ["start", "stop"])
def test_only_the_embedded_server_is_started(commands: Commands, command: str) -> None:
    err = commands.refused(2, "db", command)
    assert f"the registry does not {command}" in err
    assert (make_url(commands.url or "").password or "no password") not in err


def test_embedded_server(own_server: Path) -> None:
    commands, place = Commands(None), {"REGISTRY_DATA_DIR": str(own_server)}
    assert "`registry db start`" in commands.refused(4, "db", "url", **place)
    assert commands("db", "stop", **place).stderr == "The embedded server was not running.\n"
    # A command on its own starts it, and stops it at its end.
    assert "not set up yet" in commands.refused(4, "status", **place)
    assert embedded.status(own_server) is None
    started = commands("db", "start", **place)
    assert started.exit_code == 0
    assert started.stderr.startswith("Started Postgres 18")
    assert "Already running" in commands("db", "start", **place).stderr
    with psycopg.connect(commands.done("db", "url", **place).strip()) as connection:
        assert connection.info.dbname == "registry"
    commands.done("db", "upgrade", **place)
    assert commands.done("models", "search", "--format", "quiet", **place) == ""
    checked = commands("doctor", "--format", "jsonl", **place)
    assert checked.exit_code == 0, checked.output
    assert '"embedded, from embedded default"' in checked.stdout
    assert commands("db", "stop", **place).stderr == "Stopped the embedded server.\n"
    assert embedded.status(own_server) is None


def test_status(sample: Commands) -> None:
    status = sample.json("status")
    assert [sum(status["models"].values())] == [
        row["count"] for row in sample.json("query", "SELECT count(*) FROM models")
    ]
    assert set(status["models"]) <= {"available", "gated", "stub"}
    assert status["edges"]["finetune"] > 50
    assert status["families"] > 10
    assert status["history"] > 100
    # Some stubs have sizes in their names.
    assert 0 <= status["features"] - status["history"] <= status["models"]["stub"]
    assert status["quarantine"] == 0
    assert [job["job"] for job in status["jobs"]] == ["sweep"]
    assert status["jobs"][0]["status"] == "done"
    assert {each["kind"] for each in status["passes"]} == {"delta", "full"}
    assert status["size"] > 1_000_000
    assert (make_url(sample.url or "").password or "no password") not in json.dumps(status)
    table = sample.done("status", "--format", "table")
    for said in ("models", "available", "feature vectors", "sweep", "last sweep"):
        assert said in table


def test_status_of_an_empty_database(commands: Commands) -> None:
    assert "No job has run yet" in commands.done("status", "--format", "table")
    assert commands.json("status")["models"] == {}


def verdicts(commands: Commands, *arguments: str, code: int = 0, **environ: str) -> dict[str, str]:
    result = commands("doctor", *arguments, "--format", "jsonl", **environ)
    assert result.exit_code == code, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return {row["check"]: f"{row['verdict']}: {row['found']}" for row in rows}


def test_doctor(sample: Commands) -> None:
    found = verdicts(sample)
    assert found["setting"].endswith("from --database-url")
    assert found["server"].startswith("ok: Postgres ")
    assert re.search(r"vector 0\.\d", found["extensions"])
    assert found["schema"] == f"ok: at head, revision {revisions.head_revision()}"
    assert found["roles"].startswith("ok")
    assert found["rights"].startswith("ok")
    assert "GiB free" in found["disk"]
    assert "without a token" in found["hub"]
    assert set(found) >= {"torch"}


def test_doctor_tells_no_secrets(sample: Commands) -> None:
    result = sample(
        "doctor", HF_TOKEN="hf_sesame", HF_ENDPOINT="https://me:sesame@hub.example", COLUMNS="300"
    )
    assert "with a token" in result.stdout
    assert "hub.example" in result.stdout
    assert "sesame" not in result.output
    password = make_url(sample.url or "").password
    assert password is None or password not in result.output


def test_doctor_where_nothing_is_set_up(empty_database_url: str) -> None:
    found = verdicts(Commands(empty_database_url), code=4)
    assert found["server"].startswith("ok")
    assert "registry db upgrade" in found["schema"]


def test_doctor_where_nobody_answers() -> None:
    found = verdicts(Commands("postgresql://me:sesame@127.0.0.1:1/d"), code=4)
    assert "Connection refused" in found["server"]
    assert "sesame" not in str(found)
    assert "hub" in found


def test_doctor_of_a_reader(commands: Commands, engine: Engine) -> None:
    url = make_url(commands.url or "")
    name = f"reader_{url.database}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD 'reader-password'")
        connection.exec_driver_sql(f"GRANT registry_reader TO {name}")
    try:
        reader = Commands(
            url.set(username=name, password="reader-password").render_as_string(hide_password=False)
        )
        found = verdicts(reader)
        assert found["roles"].startswith("ok")
        assert found["rights"].startswith("warn")
        assert reader.done("models", "search", "--format", "quiet") == ""
        assert "permission denied" in reader.refused(1, "sync")
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP ROLE {name}")


def test_jobs_list(commands: Commands, engine: Engine) -> None:
    assert [row["job"] for row in commands.json("jobs", "list")] == ["sync", "sweep", "train"]
    with engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO store.job_runs (job, started_at, finished_at, status, summary)
            VALUES ('sync', :noon, :noon + interval '90 s', 'done', '{"kind": "delta"}'),
                   ('sync', :noon - interval '1 day', :noon, 'failed', '{"error": "x"}')"""),
            {"noon": factories.NOON},
        )
    row = commands.json("jobs", "list")[0]
    assert (row["status"], row["seconds"], row["summary"]) == ("done", 90.0, {"kind": "delta"})
    assert "1 min 30 s" in commands.done("jobs", "list", "--format", "table")


def test_crontab(commands: Commands) -> None:
    out = commands.done("jobs", "crontab", DATABASE_URL="postgresql://me:sesame@host/d")
    lines = [line for line in out.splitlines() if not line.startswith("#")]
    assert [line.split(" ", 5)[:5] for line in lines] == [job.schedule.split() for job in KNOWN]
    assert all(line.endswith(job.command) for line, job in zip(lines, KNOWN, strict=True))
    assert "sesame" not in out
    assert "HF_" not in out


def test_crontab_asks_the_same_hub(commands: Commands) -> None:
    out = commands.done("jobs", "crontab", HF_ENDPOINT="http://hub.test:8000", HF_TOKEN="hf_sesame")
    assert "HF_ENDPOINT=http://hub.test:8000\n" in out
    assert "# HF_TOKEN is not copied" in out
    assert "sesame" not in out
    out = commands.done("jobs", "crontab", HF_ENDPOINT="http://me:sesame@hub.test")
    assert "# Set HF_ENDPOINT here" in out
    assert "sesame" not in out


def test_schedules_are_those_that_the_jobs_state() -> None:
    for job in KNOWN:
        module = ast.parse((REPOSITORY / "jobs" / f"{job.name}.py").read_text())
        assert f"({job.schedule})" in (ast.get_docstring(module) or "")
