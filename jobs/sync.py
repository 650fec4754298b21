"""Every hour (17 * * * *): bring new and changed Hub models into the catalog."""

import sys

from registry import db, sync
from registry.errors import RegistryError


def main() -> int:
    """Run one delta sync; return the exit code of `registry sync`."""
    try:
        with db.engine(db.setting()) as engine:
            report = sync.sync_models(engine, sync.Options())
    except RegistryError as error:
        print(f"sync: {error}", file=sys.stderr)
        return error.exit_code
    print(f"sync: {report.counts}")
    return 3 if report.counts.quarantined else 0


if __name__ == "__main__":
    sys.exit(main())
