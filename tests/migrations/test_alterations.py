"""Views and functions that somebody replaced by hand: noticed, and restored by an upgrade."""

import pytest
from sqlalchemy import Engine, text

from registry.db import migrate, sql
from registry.errors import SchemaNotAtHeadError

ALTERATIONS = {
    "body": (
        """CREATE OR REPLACE FUNCTION registry.model_id(name text) RETURNS bigint
           LANGUAGE sql STABLE AS 'SELECT 1::bigint'""",
        r"function registry\.model_id",
    ),
    "security definer": (
        "ALTER FUNCTION registry.model_id(text) SECURITY DEFINER",
        r"function registry\.model_id",
    ),
    "search path": (
        "ALTER FUNCTION registry.model_id(text) SET search_path = public",
        r"function registry\.model_id",
    ),
    "cost": ("ALTER FUNCTION registry.model_id(text) COST 7", r"function registry\.model_id"),
    "view": (
        """CREATE OR REPLACE VIEW registry.quarantine AS
           SELECT source, key, 'of old' AS reason, seen_at, payload FROM store.quarantine""",
        r"view registry\.quarantine",
    ),
    "column": (
        "ALTER VIEW registry.quarantine RENAME COLUMN reason TO cause",
        r"view registry\.quarantine",
    ),
    "option": (
        "ALTER VIEW registry.quarantine SET (security_invoker = true)",
        r"view registry\.quarantine",
    ),
}
OF_ANOTHER_SERVER = r"""
UPDATE store.sql_objects
   SET fingerprint = regexp_replace(fingerprint, '^(\S+) .*$', '\1 12 another another')"""


@pytest.mark.parametrize(("statement", "found"), ALTERATIONS.values(), ids=ALTERATIONS)
def test_a_change_by_hand_is_noticed_and_undone(engine: Engine, statement: str, found: str) -> None:
    migrate.check(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(SchemaNotAtHeadError, match=found):
        migrate.check(engine)
    migrate.upgrade(engine)
    migrate.check(engine)


def test_settings_of_a_session_alter_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        for setting in (
            "quote_all_identifiers = on",
            "IntervalStyle = iso_8601",
            "DateStyle = German",
            "TimeZone = 'Asia/Tokyo'",
            "extra_float_digits = -5",
            "search_path = store, registry",
        ):
            connection.exec_driver_sql(f"SET {setting}")
        assert sql.altered(connection) == []
        assert connection.scalar(text("SHOW quote_all_identifiers")) == "on"


def test_what_another_version_of_postgres_installed_passes_until_it_is_installed_again(
    engine: Engine,
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(OF_ANOTHER_SERVER)
    migrate.check(engine)
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(ALTERATIONS["cost"][0])
        assert sql.altered(connection) == ["function registry.model_id(name text)"]


def test_it_stays_while_a_view_of_a_user_depends_on_it(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(OF_ANOTHER_SERVER)
        connection.exec_driver_sql("CREATE VIEW public.mine AS SELECT name FROM registry.models")
    migrate.upgrade(engine)
    migrate.check(engine)
