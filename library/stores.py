"""Stores: return an open store as it is, or open one from its folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.store import FeatureStore


def open_store(bank: "FeatureStore | str | Path") -> "FeatureStore":
    """Return the store in a folder, or the open store that is given. DataError if the folder is not a store."""
    from framebank.store import FeatureStore

    if isinstance(bank, FeatureStore):
        return bank
    if not isinstance(bank, str | Path):
        raise DataError(f"the bank is of the type {type(bank).__name__}; expected a store, or the folder of one")
    return FeatureStore(bank)
