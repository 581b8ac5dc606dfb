"""Kinds: which kind of framebank output is at a path."""

from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.files.replacing import current
from framebank.store.shard import shard_paths

# A folder with one of these files is of the kind, even if the others are lost.
MARKS = {
    "run": ("checkpoint.safetensors", "recipe.toml"),
    "few-shot run": ("matcher.safetensors", "recipe.json"),
    "index": ("index.faiss", "spec.json", "enrolled.npz"),
    "adapted encoder": ("adapted.json",),
    "store": ("writer.lock", "manifest.csv"),
}
MEMBERS = (  # further files of such folders
    "shard-*.h5",
    "failed.csv",
    "history.csv",
    "sources.csv",
    "log.csv",
    "metrics.json",
    "predictions.npz",
    "resume.safetensors",
    "ids.csv",
    "names.npz",
    "measured.json",
    "rows.faiss",
    "weights.safetensors",
    "ted.safetensors",
    "rows.npz",
    "near.faiss",
    "near.npz",
)
# A folder with all of these files is of the kind: the name of one alone may be a user's, beside other work.
SURE = {
    "run": ("checkpoint.safetensors", "recipe.toml"),
    "few-shot run": ("matcher.safetensors", "recipe.json"),
    "index": ("index.faiss", "spec.json"),
    "adapted encoder": ("adapted.json",),
    "store": ("writer.lock",),
}
EXPECTED = "expected a store, an index, a run or prompts"


def kind_of(path: Path) -> tuple[str, Path]:
    """Return the kind of output at a path, one of MARKS or "prompts", and its folder.

    DataError if it is none of these.
    """
    if path.is_file():
        members = (*MEMBERS, *(name for names in MARKS.values() for name in names))
        if not any(path.match(name) for name in members):
            return "prompts", path
        try:
            return kind_of(path.parent)
        except DataError as error:
            raise DataError(f"{path}: was not written by framebank; {EXPECTED}") from error
    for kind, names in MARKS.items():
        if any(current(path, name).exists() for name in names):
            return kind, path
    if path.is_dir() and shard_paths(path):
        return "store", path
    raise DataError(f"{path}: was not written by framebank; {EXPECTED}")


def refuse_own_file(out: Path) -> None:
    """Refuse to write over a file of a store, a run or an index: DataError."""
    if out.is_file():
        try:
            kind, place = kind_of(out)
        except DataError:  # a file of such a name in another folder
            return
        if kind != "prompts":
            raise DataError(f"{out}: is a file of the {kind} {place}; expected another place")


def refuse_inside_own(out: Path, *, itself: bool = False) -> None:
    """Refuse a new file or folder inside a store, a run or an index, and with `itself` one that is such a folder.

    DataError. Where a folder cannot be entered, whoever writes there reports it.
    """
    try:
        place = out.resolve()
        above = (place, *place.parents) if itself else tuple(place.parents)
        found = next(((kind, folder) for folder in above if (kind := _sure_kind(folder))), None)
    except (OSError, RuntimeError):  # such as links in a circle
        return
    if found:
        where = "is" if found[1] == place else "is inside"
        raise DataError(f"{out}: {where} the {found[0]} {found[1]}; expected another place")


def _sure_kind(folder: Path) -> str | None:
    for kind, names in SURE.items():
        if all(current(folder, name).exists() for name in names):
            return kind
    return "store" if (folder / "manifest.csv").exists() and shard_paths(folder) else None
