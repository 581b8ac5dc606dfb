"""Files of features of other programs, and an import of all that lies at a place."""

from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.exchange.imports import find_width, import_features, imported_spec
from framebank.store.exchange.source import Names
from framebank.store.exchange.sources import open_source

RNG = np.random.default_rng(0)


def drawn(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def import_from(src: Path, store: Path, *, fps: float = 1.0, **names: Any) -> dict[str, str]:
    """Import all and return the error of each video that failed."""
    source = open_source(src, Names(**names))
    spec = imported_spec({"model": "made"}, dim=find_width(source), made_by=source.spec)
    return {o.video.video_id: o.error for o in import_features(store, source, spec=spec, fps=fps) if o.error}


def save(path: Path, values: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
    return values.astype(np.float16)
