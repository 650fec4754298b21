"""Nightly training (41 4 * * *): learn from new outcomes, if there are any, and place models."""

import logging
import sys

from registry.db import connection as database
from registry.db import migrate
from registry.errors import RegistryError


def main() -> int:
    """Train a version, unless nothing changed; return the exit code of `registry train`."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("registry").setLevel(logging.INFO)
    try:
        from registry.embeddings import training  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        print(f"train: needs {error.name}: pip install 'llm-registry[train]'", file=sys.stderr)
        return RegistryError.exit_code
    try:
        where = database.setting()
        with database.engine(where) as engine:
            migrate.set_up_embedded(where, engine)
            options = training.TrainingOptions(encoder="minilm", if_changed=True)
            report = training.train_and_place(engine, options)
    except RegistryError as error:
        print(f"train: {error}", file=sys.stderr)
        return error.exit_code
    if report.note is not None:
        print(f"train: {report.note}")
    if (version := report.version) is not None:
        print(f"train: version {version.version}, {version.state}: {version.reason}")
    if (placement := report.placement) is not None:
        print(f"train: placed {placement.folded} folded, {placement.cold} cold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
