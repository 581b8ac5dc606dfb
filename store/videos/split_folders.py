"""Split folders: which of the folders named train, val and test are splits, and which are classes of that name."""

from collections.abc import Sequence
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.videos.spelling import nfc
from framebank.store.videos.video import SPLIT_NAMES


def splits_and_labels(folders: Sequence[tuple[str, ...]], *, where: Path) -> list[tuple[str, str]]:
    """Return the split and the label of each video by the folders it lies in below `where`.

    A first folder named train, val or test is a split if it holds class folders, or if no other first folder is a
    class. The label is the last of the other folders, "" if there is none. DataError if first folders are splits and
    classes, or may be either.
    """
    firsts = dict.fromkeys(parts[0] for parts in folders if parts)
    named = [name for name in firsts if split_name(name)]
    others = [name for name in firsts if not split_name(name)]
    with_classes = [name for name in named if any(parts[0] == name and len(parts) > 1 for parts in folders if parts)]
    if others and (with_classes or len({split_name(name) for name in named}) > 1):
        _refuse(where, splits=with_classes or named, others=others)
    splits = {name: split_name(name) for name in named} if not others else {}
    return [_split_and_label(parts, splits) for parts in folders]


def splits_of_tars(paths: Sequence[Path]) -> list[str]:
    """Return the split of each tar: its folder's where that and all folders of tars beside it are named for splits.

    DataError if some are and some are not, and two splits or more are named.
    """
    parents = [path.absolute().parent for path in paths]
    beside: dict[Path, set[str]] = {}
    for parent in parents:
        beside.setdefault(parent.parent, set()).add(parent.name)
    for above, names in beside.items():
        named = sorted(name for name in names if split_name(name))
        others = sorted(names.difference(named))
        if others and len({split_name(name) for name in named}) > 1:
            _refuse(above, splits=named, others=others)
    return [
        split_name(parent.name) if all(split_name(name) for name in beside[parent.parent]) else "" for parent in parents
    ]


def split_name(name: str) -> str:
    """Return the split that a folder of this name may be: "validation" is "val"; "" for another name."""
    return SPLIT_NAMES.get(name.strip().lower(), "")


def split_in_cell(text: str) -> str:
    """Return the split that a cell of a table names: " TRAIN" is "train"; one of another name stays as it is."""
    name = nfc(text).strip()
    return name.lower() if name.lower() in SPLIT_NAMES.values() else name


def _split_and_label(folders: tuple[str, ...], splits: dict[str, str]) -> tuple[str, str]:
    split = splits.get(folders[0], "") if folders else ""
    others = folders[1:] if split else folders
    return split, nfc(others[-1]) if others else ""


def _refuse(where: Path, *, splits: Sequence[str], others: Sequence[str]) -> None:
    raise DataError(
        f"{where}: holds the folder {splits[0]!r}, which is named after a split, beside {others[0]!r}, which is not; "
        "expected split folders alone or class folders alone: give one folder at a time, move one of the two, or give "
        "a manifest CSV with the columns label and split"
    )
