"""Changes of models' names, which move runs from model to model."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from registry.catalog import names as model_names
from registry.catalog import resolution
from registry.catalog.aliases import Alias, add_alias, read_aliases, remove_alias
from registry.catalog.prices.offers import resolve_offers
from registry.db.jobs import Lock, locked
from registry.evaluations import item_statistics


@dataclass(frozen=True, slots=True)
class AliasChange:
    """A model's names after a change, and how many runs moved to it and away from it."""

    aliases: Sequence[Alias]
    gained: int = 0
    lost: int = 0


def change_aliases(
    engine: Engine, model: str, *, added: Sequence[str] = (), removed: Sequence[str] = ()
) -> AliasChange:
    """Add and remove aliases of a model, with the runs that go by them, in one transaction.

    Args:
        engine: of a database at head.
        model: any of its names.
        added: aliases that it gets.
        removed: aliases that it loses, before it gets others.

    Raises:
        ModelNotFoundError: when there is no such model.
        LockHeldError: when another process changes evaluations.
        UsageError: when a name cannot be an alias.
        RegistryError: when a name is another model's, or is no alias of this one.
    """
    with locked(engine, Lock.EVALUATIONS, doing="change aliases"), engine.begin() as connection:
        key = model_names.model_id(connection, model)
        lost = sum([remove_alias(connection, key, alias) for alias in removed])
        gained = sum([add_alias(connection, key, alias) for alias in added])
        item_statistics.refresh(connection)
        resolve_offers(connection)
        return AliasChange(read_aliases(connection, key), gained, lost)


def resolve_names(engine: Engine) -> int:
    """Resolve the names in evaluations that had no model, with their runs; return how many did.

    Raises:
        LockHeldError: when another process changes evaluations.
    """
    with locked(engine, Lock.EVALUATIONS, doing="resolve names"), engine.begin() as connection:
        resolved = resolution.resolve_again(connection)
        item_statistics.refresh(connection)
        resolve_offers(connection)
        return resolved
