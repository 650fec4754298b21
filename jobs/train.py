"""Every night (41 4 * * *): learn from new outcomes, if there are any, and place new models."""

import logging
import sys

from registry.db import connection as database
from registry.db import migrate
from registry.errors import NoOutcomesError, RegistryError


def main() -> int:
    """Train a version, unless nothing changed; return the exit code of `registry train`."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("registry").setLevel(logging.INFO)
    try:
        from registry.embeddings import placement, training  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        print(f"train: needs {error.name}: pip install 'llm-registry[train]'", file=sys.stderr)
        return RegistryError.exit_code
    try:
        where = database.setting()
        with database.engine(where) as engine:
            migrate.set_up_embedded(where, engine)
            options = training.TrainingOptions(encoder="minilm", if_changed=True)
            version = training.train(engine, options)
            current = version is not None and version.current
            placed = placement.place(engine) if current else None
    except NoOutcomesError as error:
        print(f"train: {error}")
        return 0
    except RegistryError as error:
        print(f"train: {error}", file=sys.stderr)
        return error.exit_code
    if version is not None:
        print(f"train: version {version.version}, {version.state}: {version.reason}")
    if placed is not None:
        print(f"train: placed {placed.folded} folded, {placed.cold} cold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
