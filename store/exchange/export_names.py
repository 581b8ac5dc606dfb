"""Export names: turn video_ids into names for every file system, and write the table of which is which."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import numpy as np

from framebank.store.digest import digest

NAMES_FILE = "names.csv"
COLUMNS = ("file", "video_id")

SUFFIX_BYTES = len(".json")  # the longest behind a name
USUAL_BYTES = 255  # what a file system takes for one name
PATH_BYTES = 1000  # what a path in the export may take: with that of its folder it stays below the usual 4096

# No percent-encoding has it: "%" stands before two figures there.
SHORTENED = "%-"
DIGEST_FIGURES = 16


def name_bytes(folder: Path) -> int:
    """Return how many bytes a name in this folder may have without its suffix."""
    try:
        longest = os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):  # the file system does not say
        longest = USUAL_BYTES
    return min(longest, USUAL_BYTES) - SUFFIX_BYTES


def path_of(video_id: str, *, most: int = USUAL_BYTES - SUFFIX_BYTES) -> str:
    """Return a video_id as a path inside a folder: its slashes make folders, nothing in it leads out of them.

    Characters that a name cannot hold are percent-encoded. A part of more than `most` bytes is cut, and a digest is
    added; a path that is too long as a whole becomes one such name.
    """
    *folders, name = [quote(part, safe=" ()[]+,&'=@~", errors="surrogateescape") for part in video_id.split("/")]
    # a dot in a folder's name could make it ID.npy, the name of a file
    parts = [*(folder.replace(".", "%2E") or "%" for folder in folders), name or "%"]
    path = "/".join(_shorten(part, most) for part in parts)
    return path if len(path) <= PATH_BYTES else _shorten(quote(video_id, safe="", errors="surrogateescape"), most)


def key_of(video_id: str, *, most: int = USUAL_BYTES - SUFFIX_BYTES) -> str:
    """Return a video_id as a key of WebDataset, which holds neither dots nor slashes; one too long is cut as above."""
    return _shorten(quote(video_id, safe="", errors="surrogateescape").replace(".", "%2E").replace("~", "%7E"), most)


def _shorten(name: str, most: int) -> str:
    """Return an encoded name, all ASCII, or so much of its beginning as leaves room for the digest of the whole."""
    if len(name) <= most:
        return name
    figures = digest({"": np.frombuffer(name.encode(), dtype=np.uint8)})[:DIGEST_FIGURES]
    head = name[: most - len(SHORTENED) - len(figures)]
    cut = head.rfind("%", len(head) - 2)  # an escape that would be cut in two
    return f"{head[:cut] if cut >= 0 else head}{SHORTENED}{figures}"


def write_names(folder: Path, names: Iterable[tuple[str, str]]) -> None:
    """Write names.csv, which file holds which video_id, into a folder."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *names])
    (folder / NAMES_FILE).write_bytes(text.getvalue().encode("utf-8", "backslashreplace"))
