"""What a store knows about the files of its videos: their identities, in its shards and in sources.csv.

A shard holds the identity of each file that it was made from. sources.csv holds those that were learned later: of
videos that an earlier version embedded, and of files that got another time and kept their content.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.files.replacing import current
from framebank.store.formats.records import read_records
from framebank.store.videos.identity import Identity

NAME = "sources.csv"
COLUMNS = ("video_id", "size", "stamp", "digest")


def known_identities(store: FeatureStore) -> dict[str, Identity]:
    """Return the identity of each video's file; those that are not known are left out."""
    learned = read_learned(store.path)
    held = {video_id: identity for video_id, words in store.sources.items() if (identity := Identity.read(words))}
    fits = {
        video_id: identity
        for video_id, identity in learned.items()
        if video_id in store and (video_id not in held or held[video_id].digest == identity.digest)
    }
    return held | fits


def read_learned(folder: Path) -> dict[str, Identity]:
    """Return what sources.csv holds, nothing if it is not there; DataError if it cannot be read."""
    path = current(folder, NAME)
    if not path.exists():
        return {}
    try:
        found = read_records(path, COLUMNS, what="a list of files")
    except DataError as error:
        raise DataError(f"{error}; you may remove it") from error
    ids, *words = (found.column(name) for name in COLUMNS)
    known = {name: Identity.read(" ".join(told)) for name, *told in zip(ids, *words, strict=True)}
    strange = next((name for name, identity in known.items() if identity is None), None)
    if strange is not None:
        raise DataError(f"{path}: its row of {strange!r} gives no size, stamp and digest of a file; you may remove it")
    return {name: identity for name, identity in known.items() if identity}


def learned_text(identities: Mapping[str, Identity]) -> str:
    """Return the CSV that `read_learned` reads."""
    out = io.StringIO()
    rows = [(name, one.size, one.stamp, one.digest) for name, one in identities.items()]
    csv.writer(out, lineterminator="\n").writerows([COLUMNS, *rows])
    return out.getvalue()
