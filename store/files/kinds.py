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
EXPECTED = "expected a store, an index, a run or prompts"


def kind_of(path: Path) -> tuple[str, Path]:
    """Return the kind of output at a path, one of MARKS or "prompts", and its folder.

    DataError if it is none of these.
    """
    if path.is_file():
        members = (*MEMBERS, *(name for names in MARKS.values() for name in names))
        return kind_of(path.parent) if any(path.match(name) for name in members) else ("prompts", path)
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
