"""IndexSpec: spec.json of an index: its embeddings, how they were pooled, and digests of the files beside it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.digest import SEAL, seal
from framebank.store.errors import DataError, reason_of
from framebank.store.files.replacing import current
from framebank.store.formats.document import Fields, read_json
from framebank.store.formats.text import require_regular
from framebank.store.spec import FeatureSpec

VERSION = 4  # of the files; version 1 had no origin
PLAIN, FULL = 2, 3  # 2 has the vectors of whole videos, 3 rows and structures too, and 4 rows as float16


@dataclass(frozen=True)
class IndexSpec:
    """The content of spec.json. `digest` covers vectors and videos, `own` this file and ids.csv ("" if older).

    `searched` says how it is searched, if that was asked for: level, type, settings, and the digests of those files.
    """

    spec: FeatureSpec
    made_by: dict[str, Any]
    digest: str
    origin: Fields | None
    own: str
    said: Mapping[str, Any]
    searched: Fields | None = None

    def require_own(self, folder: Path) -> None:
        """Raise DataError if spec.json or ids.csv of an index is not as it was written."""
        if self.own and seal(self.said, _beside(folder)) != self.own:
            raise DataError(
                f"{folder}: spec.json or ids.csv is not as it was written: damaged, or of different indexes; "
                "make it again with `framebank index`"
            )


def read_index_spec(folder: Path) -> IndexSpec:
    """Return the content of an index's spec.json. DataError if the folder is not an index or it is unreadable."""
    path = current(folder, "spec.json")
    if not path.exists() or not current(folder, "index.faiss").exists():
        raise DataError(f"{folder}: is not an index; expected a folder made by `framebank index`")
    try:
        found = read_json(path)
        about = Fields.of(found, where="spec.json")
        version = about.whole("version", least=1, default=1)
        digest, own = about.text("digest"), about.text(SEAL, default="")
        made_by = about.fields("made_by")
        for name in ("head", "run", "run_hash", "store"):
            if not isinstance(made_by.values.get(name, ""), str | None):
                raise made_by.refuse(name, "a text")
        origin = about.fields("origin") if "origin" in about else None
        searched = about.fields("searched") if "searched" in about else None
        given = about.fields("spec").values
    except DataError as error:
        raise unreadable(folder, error) from error
    if version > VERSION:
        raise DataError(f"{folder}: is an index of version {version}, this framebank reads those up to {VERSION}")
    spec = FeatureSpec.from_dict(given, where=folder / "spec.json")
    said = {name: value for name, value in found.items() if name != SEAL}
    return IndexSpec(spec, dict(made_by.values), digest, origin, own, said, searched)


def index_spec_text(folder: Path, about: Mapping[str, Any]) -> str:
    """Return spec.json with a digest of its content and of ids.csv, which is in the folder already."""
    return json.dumps({**about, SEAL: seal(about, _beside(folder))}, indent=2)


def unreadable(folder: Path, error: Exception) -> DataError:
    """Return the error that says what is wrong with a file of an index."""
    return DataError(f"{folder}: the index cannot be read ({reason_of(error)})")


def _beside(folder: Path) -> dict[str, np.ndarray]:
    path = current(folder, "ids.csv")
    require_regular(path)
    return {"ids.csv": np.frombuffer(path.read_bytes(), dtype=np.uint8)}
