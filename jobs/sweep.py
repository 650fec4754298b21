"""Every Sunday (23 3 * * 0): read the whole listing, find the vanished, refresh all counters."""

import sys

from registry import db, sync
from registry.errors import RegistryError


def main() -> int:
    """Run one full sweep; return the exit code of `registry sync`."""
    try:
        with db.engine(db.setting()) as engine:
            report = sync.sync_models(engine, sync.Options(full=True))
    except RegistryError as error:
        print(f"sweep: {error}", file=sys.stderr)
        return error.exit_code
    print(f"sweep: {report.counts}")
    return 3 if report.counts.quarantined else 0


if __name__ == "__main__":
    sys.exit(main())
