"""Split names: what the names of splits are read as, wherever a user writes one."""

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from shlex import quote

from framebank.store.errors import warn
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.spelling import nfc
from framebank.store.videos.video import SPLIT_NAMES

USUAL_SPLITS = {**SPLIT_NAMES, "dev": "val"}  # a folder named dev is a class


def usual_split(text: str) -> str:
    """Return the split that a name means: " Validation" is "val"; another name stays as it is, without blanks."""
    name = nfc(text).strip()
    return USUAL_SPLITS.get(name.lower(), name)


def usual_splits(names: Iterable[str], *, where: object, there: Collection[str] = ()) -> dict[str, str]:
    """Return what each name of a list of the user is read as: "validation" is "val"; a DataWarning says so.

    Two names that differ become one only if their letters are the same but for capitals: of "validation" and "val",
    or of "dev" and "valid", each stays as it is. A name that is `there`, in a store, is not read as another.
    """
    words = {name: nfc(name).strip() for name in set(names)}
    words = {name: word.lower() if word.lower() in USUAL_SPLITS else word for name, word in words.items()}
    meant = Counter(map(usual_split, set(words.values())))
    read_as = {name: word if meant[usual_split(word)] > 1 else usual_split(word) for name, word in words.items()}
    for name, word in words.items():
        own = split_among(word, there)
        read_as[name] = own if own in there and read_as[name] != word else read_as[name]
    told = [f"{name!r} is read as {split!r}" for name, split in sorted(read_as.items()) if split != words[name]]
    stay = [name for name, split in read_as.items() if split == words[name] != usual_split(name) and split not in there]
    told += [f"{name!r} stays, beside another name of {usual_split(name)!r}" for name in sorted(stay)]
    if told:
        warn(f"{where}: the split {' and '.join(told)}")
    return read_as


def split_among(name: str, there: Iterable[str]) -> str:
    """Return the split of a store that a name means: itself, or the only one that is read as the same name.

    "validation" is "val" in a store with the split "val", and "val" is "validation" in one that kept this name. A
    name that means none stays as it is.
    """
    known = set(there)
    alike = [split for split in known if usual_split(split) == usual_split(name)]
    return alike[0] if name not in known and len(alike) == 1 else name


def split_hint(name: str, videos: VideoColumns, store: Path) -> str:
    """Return how a store gets the split that a name means if none of its videos has any; "" if one has."""
    if any(videos.splits) or usual_split(name) not in ("train", "test"):
        return ""
    where = quote(str(store))
    if not any(videos.labels):
        return f"; no video has a label either: `framebank store relabel {where} FILE.csv` gives labels and splits"
    return f"; `framebank store hold-out {where}` makes the splits train and test"
