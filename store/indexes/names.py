"""Names: the vectors of everyday names, kept beside an index, so that the text tower embeds them only once."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from framebank.store.digest import SEAL, seal
from framebank.store.errors import DataError
from framebank.store.files.replacing import replacing
from framebank.store.formats.document import Fields, parse_json
from framebank.store.formats.npy import Npz
from framebank.store.spec import ENCODER_FIELDS, FeatureSpec

FILE = "names.npz"


def read_names(folder: Path, names: Sequence[str], spec: FeatureSpec) -> np.ndarray | None:
    """Return the vectors (N, D) float32 of these names by the encoder of `spec`, or None if the folder has none.

    A file that is damaged, or that has other names or another encoder, is ignored: it can be made again.
    """
    try:
        arrays = Npz(folder / FILE)
        if not {"about", "vectors"} <= set(arrays):
            return None
        about = Fields.of(parse_json(arrays["about"].tobytes(), where="about"), where="about")
        vectors = arrays["vectors"]
        said = {name: value for name, value in about.values.items() if name != SEAL}
        if said != _about(names, spec) or about.text(SEAL) != seal(said, {"vectors": vectors}):
            return None
    except (DataError, ValueError):
        return None
    return vectors


def write_names(folder: Path, names: Sequence[str], spec: FeatureSpec, vectors: np.ndarray) -> None:
    """Keep the vectors (N, D) of names. If the folder cannot be written to, they are embedded again each time."""
    about = _about(names, spec)
    text = json.dumps({**about, SEAL: seal(about, {"vectors": vectors})})
    with contextlib.suppress(DataError), replacing(folder / FILE) as part, part.open("wb") as file:
        np.savez(file, about=np.frombuffer(text.encode(), dtype=np.uint8), vectors=vectors)


def _about(names: Sequence[str], spec: FeatureSpec) -> dict[str, object]:
    return {"names": list(names), "encoder": [getattr(spec, name) for name in ENCODER_FIELDS]}
