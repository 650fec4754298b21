"""Every Sunday (23 3 * * 0): read the whole listing, find the vanished, refresh all counters."""

import logging
import sys

from registry.db import connection as database
from registry.db import migrate
from registry.errors import RegistryError
from registry.sync import sync


def main() -> int:
    """Run one full sweep; return the exit code of `registry sync`."""
    # What the Hub makes us wait for goes to the cron log.
    logging.basicConfig(format="%(message)s")
    logging.getLogger("registry").setLevel(logging.INFO)
    try:
        where = database.setting()
        with database.engine(where) as engine:
            migrate.set_up_embedded(where, engine)
            report = sync.sync_models(engine, sync.SyncOptions(full=True))
    except RegistryError as error:
        print(f"sweep: {error}", file=sys.stderr)
        return error.exit_code
    print(f"sweep: {report.counts}")
    if report.vectors:
        print(f"sweep: {report.vectors}")
    return 3 if report.counts.quarantined else 0


if __name__ == "__main__":
    sys.exit(main())
