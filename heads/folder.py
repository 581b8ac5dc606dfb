"""Folder: where what was trained is kept; it holds one run or one matcher."""

from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.files import require_new_folder

# The file that is written last: where it is, the rest is too.
WEIGHTS = {"run": "checkpoint.safetensors", "matcher": "matcher.safetensors"}


def require_free(folder: Path, *, what: str, overwrite: bool) -> None:
    """Refuse a folder that holds a run or a matcher, or cannot hold `what`, one of WEIGHTS: DataError.

    With `overwrite` it may hold another of its own kind.
    """
    for kind, name in WEIGHTS.items():
        if (folder / name).exists() and not (overwrite and kind == what):
            way_out = ", or --overwrite" if kind == what else ""
            raise DataError(f"{folder}: already holds a {kind}; choose another folder{way_out}")
    there = folder.exists()
    require_new_folder(folder, what=what)
    if not there:
        folder.rmdir()
