"""Stores: return an open store as it is, or open one from its folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from framebank.store.errors import DataError, warn
from framebank.store.videos.split_names import usual_split

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


def require_val_split(store: "FeatureStore", val_split: str | None) -> None:
    """Refuse a split that the store does not have: DataError, before the work. None is refused nothing."""
    if val_split:
        store.split(val_split)
        warn_of_test_split(val_split)


def warn_of_test_split(val_split: str) -> None:
    """Warn if what is kept of a training is chosen on the split that measures it."""
    if usual_split(val_split) == "test":
        warn(
            f"what is kept is chosen on the split {val_split!r}, so figures on it will be too good; expected a split "
            "of its own, such as 'val'"
        )
