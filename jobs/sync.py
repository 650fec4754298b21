"""Every hour (17 * * * *): bring new and changed Hub models into the catalog."""

import logging
import sys

from registry.db import connection as database
from registry.db import migrate
from registry.errors import RegistryError
from registry.sync import sync


def main() -> int:
    """Run one delta sync; return the exit code of `registry sync`."""
    # What the Hub makes us wait for goes to the cron log.
    logging.basicConfig(format="%(message)s")
    logging.getLogger("registry").setLevel(logging.INFO)
    try:
        where = database.setting()
        with database.engine(where) as engine:
            migrate.set_up_embedded(where, engine)
            report = sync.sync_models(engine, sync.SyncOptions())
    except RegistryError as error:
        print(f"sync: {error}", file=sys.stderr)
        return error.exit_code
    print(f"sync: {report.counts}")
    if report.vectors:
        print(f"sync: {report.vectors}")
    return 3 if report.counts.quarantined else 0


if __name__ == "__main__":
    sys.exit(main())
