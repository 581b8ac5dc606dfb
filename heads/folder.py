"""Folder: where what was made of a store is kept; it holds one run, one matcher or one index."""

from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.files import current, require_new_folder

# The file that is written last: where it is, the rest is too.
WEIGHTS = {"run": "checkpoint.safetensors", "matcher": "matcher.safetensors"}
KINDS = {**WEIGHTS, "index": "spec.json"}


def require_free(folder: Path, *, what: str, overwrite: bool) -> None:
    """Refuse a folder that holds a run, a matcher or an index, or cannot hold `what`, one of KINDS: DataError.

    With `overwrite` it may hold another of its own kind.
    """
    for kind, name in KINDS.items():
        if current(folder, name).exists() and not (overwrite and kind == what):
            way_out = ", or --overwrite" if kind == what else ""
            article = "an" if kind == "index" else "a"
            raise DataError(f"{folder}: already holds {article} {kind}; choose another folder{way_out}")
    there = folder.exists()
    require_new_folder(folder, what=what)
    if not there:
        folder.rmdir()
