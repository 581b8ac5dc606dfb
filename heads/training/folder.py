"""Folder: the place of one run, one matcher or one index."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.files.place import owning
from framebank.store.shard import shard_paths

# The file that shows what a folder holds. If it exists, the other files do too.
WEIGHTS = {"run": "checkpoint.safetensors", "matcher": "matcher.safetensors"}
KINDS = {**WEIGHTS, "index": "spec.json", "encoder": "weights.safetensors"}


@contextlib.contextmanager
def taking(folder: Path, *, what: str, overwrite: bool) -> Iterator[None]:
    """Lock a folder while the caller writes `what`, one of KINDS, into it.

    DataError if it holds a run, a matcher or an index, or cannot hold one. With `overwrite`, the folder may hold
    another one of the same kind.
    """
    with owning(folder, what=what):
        for kind, name in KINDS.items():
            if (folder / name).exists() and not (overwrite and kind == what):
                way_out = ", or overwrite it (--overwrite)" if kind == what else ""
                article = "an" if kind in ("index", "encoder") else "a"
                raise DataError(f"{folder}: already holds {article} {kind}; choose another folder{way_out}")
        if shard_paths(folder):
            raise DataError(f"{folder}: already holds a store; choose another folder")
        yield
