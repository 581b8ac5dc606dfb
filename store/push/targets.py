"""Targets: the vector databases that points are pushed to, by the word that names them."""

from collections.abc import Callable

from framebank.store.errors import DataError, near_names
from framebank.store.push.pgvector import Pgvector
from framebank.store.push.points import Collection
from framebank.store.push.qdrant import Qdrant

TARGETS: dict[str, Callable[[str, str], Collection]] = {"qdrant": Qdrant, "pgvector": Pgvector}
FORMS = "qdrant:URL or pgvector:DSN, such as qdrant:http://localhost:6333"


def open_target(to: str, name: str) -> Collection:
    """Return the collection or table `name` of the database that `to` says, as "qdrant:http://localhost:6333".

    DataError if `to` is of no such form, the library of the database is not installed, or it does not answer.
    """
    kind, colon, place = to.partition(":")
    if kind not in TARGETS:
        raise DataError(f"{kind!r} names no database to push to{near_names(kind, TARGETS)}; expected {FORMS}")
    if not colon or not place.strip():
        raise DataError(f"{to!r} does not say where the database is; expected {FORMS}")
    return TARGETS[kind](place, name)
