"""Readers of an index."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

from framebank.heads.labelling import enroll as enrolling
from framebank.heads.labelling.calibrate import calibrate
from framebank.store import Video
from framebank.store.indexes.enrolment import Calibration
from framebank.store.indexes.index import Index
from framebank.store.indexes.rows import Rows
from framebank.store.indexes.searched import Searched
from framebank.store.indexes.structure import build
from framebank.store.indexes.tuning import Target, tune
from framebank.store.vectors import unit
from framebank.tests.fuzz.readers.reader import Reader
from framebank.tests.worlds.store import SPEC as STORE_SPEC


def _index(folder: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [Video(f"{label}/{n}", Path(f"/{label}/{n}.mp4"), label, "train") for label in "ab" for n in range(20)]
    Index(rng.normal(size=(40, 8)), rows, spec=STORE_SPEC, made_by={"head": "mean", "run": None}).save(folder)
    examples = [(Video(name, Path(f"/{name}.mp4")), rng.normal(size=8).astype(np.float32)) for name in ("x", "y")]
    enrolling.enroll(folder, "mine", examples, index=Index.load(folder))
    held_out = tuple(Video(f"h{n}", Path(f"/h{n}.mp4"), "a", "val") for n in range(30))
    vectors = rng.normal(size=(30, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    calibrate(folder, Calibration(0.2, "/store", "val", held_out, vectors))


def _searched_index(kind: str, dtype: type = np.float32) -> Callable[[Path], None]:
    """An index of frames, of rows of a type, that is searched by a structure, some of whose entries are gone."""

    def make(folder: Path) -> None:
        rng = np.random.default_rng(0)
        videos = [Video(f"{label}/{n}", Path(f"/{label}/{n}.mp4"), label, "train") for label in "ab" for n in range(20)]
        ends = np.arange(8, 328, 8)
        starts = np.tile(np.arange(8.0), 40)
        vectors = unit(rng.normal(size=(320, 8))).astype(dtype)
        rows = Rows("frame", vectors, ends, np.stack([starts, starts + 1], axis=1))
        near = build(rows.vectors, kind)
        added = build(np.concatenate([rows.vectors[:4], rows.vectors]), kind)
        places = np.concatenate([np.full(4, -1), np.arange(320)])
        index = Index(rng.normal(size=(40, 8)), videos, spec=STORE_SPEC, made_by={"head": "mean", "run": None})
        _, measured = tune(near, rows.vectors, Target(kind))
        structure = dataclasses.replace(added, settings={near.knob: 4, "factor": 2}, places=places)
        index.searched = Searched(rows, structure, Target(kind), measured)
        index.save(folder)

    return make


def _read_index(folder: Path) -> list[object]:
    index = Index.load(folder)
    known = [index.spec, dict(index.made_by), index.own_vectors, list(index.videos), index.enrolment, index.origin]
    query = np.ones((1, index.spec.dim), dtype=np.float32)
    near = index.searched.near
    structure = near and [near.kind, dict(near.settings), near.places, faiss.serialize_index(near.base)]
    return [*known, index.searched.rows, index.searched.measured, structure, index.search(query, 5)]


INDEXES: dict[str, Reader] = {
    "index, vectors": Reader(_index, "index.faiss", _read_index, has_digest=True),
    "index, list": Reader(_index, "ids.csv", _read_index, has_digest=True),
    "index, spec": Reader(_index, "spec.json", _read_index, has_digest=True),
    "enrolments": Reader(_index, "enrolled.npz", _read_index, has_digest=True),
    "index, rows": Reader(_searched_index("sq8"), "rows.faiss", _read_index, has_digest=True),
    "index, rows of float16": Reader(_searched_index("sq8", np.float16), "rows.faiss", _read_index, has_digest=True),
    "index, spec of rows of float16": Reader(_searched_index("sq8", np.float16), "spec.json", _read_index, True),
    "index, seconds of rows": Reader(_searched_index("sq8"), "rows.npz", _read_index, has_digest=True),
    "index, lists": Reader(_searched_index("sq8"), "near.faiss", _read_index, has_digest=True),
    "index, graph": Reader(_searched_index("hnsw"), "near.faiss", _read_index, has_digest=True),
    "index, entries": Reader(_searched_index("sq8"), "near.npz", _read_index, has_digest=True),
    "index, what was measured": Reader(_searched_index("sq8"), "measured.json", _read_index, has_digest=True),
    "index, spec of its rows": Reader(_searched_index("sq8"), "spec.json", _read_index, has_digest=True),
}
