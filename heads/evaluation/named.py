"""Named protocols: what to train on, what to test and how to average, as a TOML file with a hash."""

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from framebank.store.errors import DataError, near_names
from framebank.store.formats.document import Fields, read_toml
from framebank.store.videos.labels import class_text

PROTOCOLS = Path(__file__).parent / "protocols"
VIDEOS = ("lists", "full", "half", "classes")
MOST_SEED = 1 << 32  # the seeds of numpy are below it
FIRST = ("kind", "splits", "videos", "seeds", "val_fraction")  # the keys of the first version, always in the hash
FIRST_OF_SPLIT = ("test", "test_videos", "train", "train_videos")
FIXED = ("sampling", "class_names", "templates")  # keys that every kind may have
SIDES = {"train": "train_videos", "test": "test_videos", "novel": "novel_videos", "classes": "num_classes"}


@dataclass(frozen=True)
class ProtocolKeys:
    """The keys that a kind of protocol reads beside its name, and the lists that each of its splits has."""

    reads: tuple[str, ...]
    of_split: tuple[tuple[str, ...], ...] = ()  # the lists of a split: one of these sets of them
    needs: tuple[str, ...] = ()


KINDS = {
    "supervised": ProtocolKeys(
        ("splits", "val_fraction", "seeds", "recipe", "settings", "grid", "groups"), (("train", "test"),)
    ),
    "zero-shot": ProtocolKeys(("videos", "splits", "seeds", "needs_run"), (("test",), ("classes",)), needs=("videos",)),
    "base-to-novel": ProtocolKeys(("splits", "val_fraction"), (("train", "test", "novel"),), needs=("splits",)),
    "episodes": ProtocolKeys(
        ("class_lists", "class_lists_hash", "split", "way", "shots", "episodes", "seeds", "baselines", "needs_run"),
        needs=("way", "shots", "episodes", "seeds", "baselines"),
    ),
}


@dataclass(frozen=True)
class ListedSplit:
    """The lists of one split, and how many videos they list (0 where the official number is not fixed).

    If a list has several names, the first that is found counts. `novel` lists test videos of classes that `train` does
    not have. `classes` is a list of the `num_classes` classes that are tested.
    """

    test: tuple[str, ...] = ()
    test_videos: int = 0
    train: tuple[str, ...] = ()
    train_videos: int = 0
    novel: tuple[str, ...] = ()
    novel_videos: int = 0
    classes: tuple[str, ...] = ()
    num_classes: int = 0


@dataclass(frozen=True)
class NamedProtocol:
    """One protocol. A supervised one without `splits` uses the splits of the store.

    `videos` says what a zero-shot protocol tests: each of the lists, the full store, half of the classes for each of
    the `seeds`, or the classes of lists. `val_fraction` is the share of the training videos that is held out for
    choices; None keeps the share of the recipe. A supervised protocol with `recipe` and `settings` fixes what is
    trained; with `seeds`, it trains once for each. `grid` has several values of some keys of the recipe: all their
    combinations are trained, and the best on held-out videos is tested. `groups` is how many views and clips of each
    video the store must hold. Episodes take the classes of the store's `split`, or those that `class_lists` place in it
    (lists of other videos than `class_lists_hash` says are refused); the `baselines` are always scored.
    `needs_run` asks for a run that was trained elsewhere. Each kind may fix the frames of the store (`sampling`, as
    "segments:16"), the `class_names` of the texts, and their `templates`; what is fixed, a caller cannot give.
    """

    name: str
    about: str
    kind: str
    splits: tuple[ListedSplit, ...] = ()
    videos: str = ""
    seeds: tuple[int, ...] = ()
    val_fraction: float | None = None
    recipe: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    groups: int = 0
    class_lists: tuple[str, ...] = ()
    class_lists_hash: str = ""
    split: str = "test"
    way: int = 0
    shots: tuple[int, ...] = ()
    episodes: int = 0
    baselines: tuple[str, ...] = ()
    needs_run: bool = False
    sampling: str = ""
    class_names: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """A hash of everything that decides a figure. The name and the description do not change it."""
        said = _said(self, FIRST, without=("name", "about"))
        said["splits"] = [_said(split, FIRST_OF_SPLIT) for split in self.splits]
        return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=6).hexdigest()

    @property
    def reads_lists(self) -> bool:
        """Whether it needs the official lists."""
        return bool(self.splits or self.class_lists)


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


def _said(found: Any, always: tuple[str, ...], *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The keys that are always in the hash, and those of later versions that are set: earlier hashes stay."""
    values, default = asdict(found), {each.name: _default(each) for each in fields(found)}
    return {
        name: value
        for name, value in values.items()
        if name not in without and (name in always or value != default[name])
    }


def _default(each: Any) -> Any:
    return each.default_factory() if each.default_factory is not MISSING else each.default


def _read(found: Fields) -> NamedProtocol:
    _require_known(found, [each.name for each in fields(NamedProtocol)])
    kind = found.text("kind")
    if kind not in KINDS:
        raise found.refuse("kind", f"one of {', '.join(KINDS)}")
    keys = KINDS[kind]
    for name in found.values:
        if name not in ("name", "about", "kind", *keys.reads, *FIXED):
            reads = ", ".join((*keys.reads, *FIXED))
            raise found.refuse(name, f"no such key in a protocol of the kind {kind!r}, which reads {reads}")
    missing = next((name for name in keys.needs if name not in found), None)
    if missing:
        raise DataError(f"{found.where}: has no {missing}; expected it in a protocol of the kind {kind!r}")
    protocol = NamedProtocol(
        found.text("name"),
        found.text("about"),
        kind,
        tuple(_split(each, keys, found.where) for each in (found.list("splits") if "splits" in found else ())),
        found.text("videos", default=""),
        found.wholes("seeds", default=()),
        found.number("val_fraction") if "val_fraction" in found else None,
        found.text("recipe", default=""),
        dict(found.fields("settings").values) if "settings" in found else {},
        _grid(found.fields("grid")) if "grid" in found else {},
        found.whole("groups", least=1) if "groups" in found else 0,
        found.texts("class_lists") if "class_lists" in found else (),
        found.text("class_lists_hash", default=""),
        found.text("split", default="test"),
        found.whole("way", least=2) if "way" in found else 0,
        found.wholes("shots", least=1, default=()),
        found.whole("episodes", least=1) if "episodes" in found else 0,
        found.texts("baselines") if "baselines" in found else (),
        found.flag("needs_run") if "needs_run" in found else False,
        found.text("sampling", default=""),
        found.texts("class_names") if "class_names" in found else (),
        found.texts("templates") if "templates" in found else (),
    )
    _require_sense(protocol, found)
    return protocol


def _require_sense(protocol: NamedProtocol, found: Fields) -> None:
    """Refuse keys that do not go together."""
    if protocol.kind == "zero-shot":
        if protocol.videos not in VIDEOS:
            raise found.refuse("videos", ", ".join(VIDEOS))
        listed = protocol.videos in ("lists", "classes")
        if listed != bool(protocol.splits):
            raise DataError(
                f"{found.where}: videos is {protocol.videos!r}; expected splits where it is 'lists' or 'classes', and "
                "only there"
            )
        wanted = {"lists": "test", "classes": "classes"}.get(protocol.videos)
        if wanted and not all(getattr(split, wanted) for split in protocol.splits):
            raise DataError(f"{found.where}: videos is {protocol.videos!r}; expected {wanted} in each of the splits")
        if (protocol.videos == "half") != bool(protocol.seeds):
            raise DataError(
                f"{found.where}: videos is {protocol.videos!r}; expected seeds where it is 'half', and only there"
            )
    seeds = protocol.seeds
    if len(set(seeds)) < len(seeds) or max(seeds, default=0) >= MOST_SEED:
        raise found.refuse("seeds", f"different whole numbers below {MOST_SEED}")
    if not protocol.name.strip() or not protocol.name.isprintable():
        raise found.refuse("name", "a name on one line")
    if any(template.count("{}") != 1 for template in protocol.templates):
        raise found.refuse("templates", "sentences that hold {} once, where the class goes")
    if len(set(map(class_text, protocol.class_names))) < len(protocol.class_names):
        raise found.refuse("class_names", "different names")
    share = protocol.val_fraction
    if share is not None and not 0 <= share < 1:
        raise found.refuse("val_fraction", "a share from 0 to below 1")
    for name in ("settings", "grid"):
        if getattr(protocol, name) and not protocol.recipe:
            raise found.refuse(name, "a recipe beside them")
    both = next((name for name in protocol.grid if name in protocol.settings), None)
    if both:
        raise found.refuse("grid", f"no {both}, which stands among the settings")
    if protocol.kind == "supervised" and protocol.seeds and protocol.splits:
        raise found.refuse("seeds", "no seeds beside splits, each of which is trained on once")
    if protocol.kind == "episodes":
        if len(seeds) != 1:
            raise found.refuse("seeds", "one seed, which draws all episodes")
        if not protocol.shots or len(set(protocol.shots)) < len(protocol.shots):
            raise found.refuse("shots", "different numbers of support videos, such as [1, 5]")
        if set(protocol.baselines) <= {"text"}:
            raise found.refuse("baselines", "a matcher that reads no texts among them, such as mean")
    if protocol.kind == "base-to-novel" and not protocol.splits:
        raise found.refuse("splits", "one draw at least")


def _grid(found: Fields) -> dict[str, tuple[Any, ...]]:
    """The values to try of each key, two or more different ones."""
    grid = {name: tuple(found.list(name)) for name in found.values}
    few = next((name for name, values in grid.items() if len(set(map(str, values))) < max(2, len(values))), None)
    if few or not grid:
        raise found.refuse(few, "two or more different values") if few else DataError(f"{found.where}: is empty")
    return grid


def _split(said: object, keys: ProtocolKeys, where: object) -> ListedSplit:
    found = Fields.of(said, where=f"{where}: splits")
    _require_known(found, [each.name for each in fields(ListedSplit)])
    given = tuple(side for side in SIDES if side in found)
    if set(given) not in [set(sides) for sides in keys.of_split]:
        expected = " or ".join(" and ".join(sides) for sides in keys.of_split)
        what = "a train list" if expected == "train and test" else expected
        raise DataError(f"{where}: splits: has {' and '.join(given) or 'no list'}; expected {what} in each split")
    values: dict[str, Any] = {}
    for side, count in SIDES.items():
        if count in found and side not in found:
            raise found.refuse(count, f"{side} beside it")
        if side in found:
            values[side] = found.texts(side)
            values[count] = found.whole(count, least=1) if count in found else 0
    split = ListedSplit(**values)
    for other in ("test", "novel"):
        both = set(split.train) & set(getattr(split, other))
        if both and not all("*" in name for name in both):
            raise DataError(f"{where}: splits: {sorted(both)[0]} is trained on and tested on; expected different lists")
    return split


def _require_known(found: Fields, known: list[str]) -> None:
    strange = next((name for name in found.values if name not in known), None)
    if strange is not None:
        raise DataError(
            f"{found.where}: has no key {strange!r}{near_names(str(strange), known)}; expected {', '.join(known)}"
        )
