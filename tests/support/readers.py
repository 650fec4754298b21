"""Logins of readers: what an operator makes for a person who only queries."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine


@contextmanager
def reader(engine: Engine, options: str = "") -> Iterator[str]:
    """Have a login with the role `registry_reader` for the length of a block; yield its URL."""
    name, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD '{password}' {options}")
        connection.exec_driver_sql(f"GRANT registry_reader TO {name}")
    url = engine.url.set(drivername="postgresql", username=name, password=password)
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP ROLE {name}")
