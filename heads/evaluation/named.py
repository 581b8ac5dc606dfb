"""Named protocols: what to train on, what to test and how to average, as a TOML file with a hash."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from framebank.store.errors import DataError, near_names
from framebank.store.formats.document import Fields, read_toml

PROTOCOLS = Path(__file__).parent / "protocols"
KINDS = ("supervised", "zero-shot")
VIDEOS = ("lists", "full", "half")
MOST_SEED = 1 << 32  # the seeds of numpy are below it


@dataclass(frozen=True)
class ListedSplit:
    """The lists of one split, and how many videos they list. If a list has several names, the first found counts."""

    test: tuple[str, ...]
    test_videos: int
    train: tuple[str, ...] = ()
    train_videos: int = 0


@dataclass(frozen=True)
class NamedProtocol:
    """One protocol. A supervised one without `splits` uses the splits of the store.

    `videos` says what a zero-shot protocol tests: each of the lists, the full store, or half of the classes for each of
    the `seeds`. `val_fraction` is the share of the training videos that is held out for choices; None keeps the share
    of the recipe.
    """

    name: str
    about: str
    kind: str
    splits: tuple[ListedSplit, ...] = ()
    videos: str = ""
    seeds: tuple[int, ...] = ()
    val_fraction: float | None = None

    @property
    def hash(self) -> str:
        """A hash of everything that decides a figure. The name and the description do not change it."""
        said = {name: value for name, value in asdict(self).items() if name not in ("name", "about")}
        return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=6).hexdigest()

    @property
    def reads_lists(self) -> bool:
        """Whether it needs the official lists."""
        return bool(self.splits)


def protocol_names() -> list[str]:
    """Return the names of the protocols that come with framebank, sorted."""
    return sorted(path.stem for path in PROTOCOLS.glob("*.toml"))


def read_protocol(name: str | Path) -> NamedProtocol:
    """Return a protocol that comes with framebank, or one from a .toml file. DataError if it is neither."""
    path = Path(name)
    if path.suffix != ".toml":
        if str(name) not in protocol_names():
            raise DataError(f"no protocol is named {str(name)!r}; expected one of {', '.join(protocol_names())}")
        path = PROTOCOLS / f"{name}.toml"
    elif not path.is_file():
        raise DataError(f"{path}: no such protocol file")
    return _read(Fields.of(read_toml(path, what="a protocol"), where=path))


def _read(found: Fields) -> NamedProtocol:
    _require_known(found, NamedProtocol)
    kind = found.text("kind")
    if kind not in KINDS:
        raise found.refuse("kind", " or ".join(KINDS))
    splits = tuple(_split(each, kind, found.where) for each in (found.list("splits") if "splits" in found else ()))
    videos, seeds = found.text("videos", default=""), found.wholes("seeds", default=())
    if kind == "zero-shot" and videos not in VIDEOS:
        raise found.refuse("videos", ", ".join(VIDEOS))
    if kind == "supervised" and videos:
        raise found.refuse("videos", "no such key in a supervised protocol, whose videos are those of its splits")
    if (videos == "lists") != bool(splits) and kind == "zero-shot":
        raise DataError(f"{found.where}: videos is {videos!r}; expected splits where it is 'lists', and only there")
    if (videos == "half") != bool(seeds):
        raise DataError(f"{found.where}: videos is {videos!r}; expected seeds where it is 'half', and only there")
    if len(set(seeds)) < len(seeds) or max(seeds, default=0) >= MOST_SEED:
        raise found.refuse("seeds", f"different whole numbers below {MOST_SEED}")
    name = found.text("name")
    if not name.strip() or not name.isprintable():
        raise found.refuse("name", "a name on one line")
    share = found.number("val_fraction") if "val_fraction" in found else None
    if share is not None and (kind == "zero-shot" or not 0 <= share < 1):
        raise found.refuse("val_fraction", "a share from 0 to below 1, in a supervised protocol")
    return NamedProtocol(name, found.text("about"), kind, splits, videos, seeds, share)


def _split(said: object, kind: str, where: object) -> ListedSplit:
    found = Fields.of(said, where=f"{where}: splits")
    _require_known(found, ListedSplit)
    if (kind == "supervised") != ("train" in found):
        raise DataError(
            f"{where}: splits: expected a train list in each split of a supervised protocol, and only there"
        )
    train = (found.texts("train"), found.whole("train_videos", least=1)) if "train" in found else ((), 0)
    split = ListedSplit(found.texts("test"), found.whole("test_videos", least=1), *train)
    if set(split.train) & set(split.test) and not all("*" in name for name in set(split.train) & set(split.test)):
        raise DataError(f"{where}: splits: {split.test[0]} is trained on and tested on; expected different lists")
    return split


def _require_known(found: Fields, kind: type[Any]) -> None:
    known = [each.name for each in fields(kind)]
    strange = next((name for name in found.values if name not in known), None)
    if strange is not None:
        raise DataError(
            f"{found.where}: has no key {strange!r}{near_names(str(strange), known)}; expected {', '.join(known)}"
        )
