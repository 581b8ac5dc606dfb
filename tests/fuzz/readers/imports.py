"""Readers of features that other programs wrote."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch

from framebank.store import DataError, FeatureStore
from framebank.store.exchange.exports import export_store
from framebank.store.exchange.imports import find_width, import_features, imported_spec
from framebank.store.exchange.source import Names
from framebank.store.exchange.sources import open_source
from framebank.tests.fuzz.readers.reader import Reader
from framebank.tests.fuzz.readers.stores import read_store
from framebank.tests.worlds.store import make_store

ARRAYS = {
    "features": np.random.default_rng(0).normal(size=(6, 4, 8)).astype(np.float32),
    "labels": np.array([0, 0, 1, 1, 2, 2]),
    "classes": np.array(["run", "walk", "sit"]),
    "video_id": np.array([f"v{n}" for n in range(6)]),
}


def _export(form: str, name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        store = FeatureStore(make_store(folder / "store", {"a/one": 3, "a/two": 2, "b/three": 4}))
        list(export_store(store, store.manifest, folder / name, form=form))
        shutil.rmtree(folder / "store")

    return make


def _import(name: str) -> Callable[[Path], list[object]]:
    """Read as `framebank store import` does, where a video that cannot be read is told by a line of its own."""

    def read(folder: Path) -> list[object]:
        source = open_source(folder / name, Names())
        width = find_width(source)
        if not width:
            raise DataError(f"{folder / name}: holds no video that can be read")
        spec = imported_spec({}, dim=width, made_by=source.spec)
        failed = [one.error for one in import_features(folder / "bank", source, spec=spec) if one.error]
        if failed:
            raise DataError(f"{folder / name}: {failed[0]}")
        return [source.manifest, read_store(folder / "bank")]

    return read


def _h5(folder: Path) -> None:
    with h5py.File(folder / "features.h5", "w") as file:
        for name, values in ARRAYS.items():
            file.create_dataset(name, data=values.astype("S") if values.dtype.kind == "U" else values)


def _h5_with_strings(folder: Path) -> None:
    with h5py.File(folder / "features.h5", "w") as file:
        for name, values in ARRAYS.items():
            file[name] = [str(value) for value in values] if values.dtype.kind == "U" else values


def _h5_keyed(folder: Path) -> None:
    with h5py.File(folder / "features.h5", "w") as file:
        for n, values in enumerate(ARRAYS["features"]):
            file.create_dataset(f"v_{n}/c3d_features", data=values, chunks=(2, 8), compression="gzip")


def _pt(folder: Path) -> None:
    torch.save(
        {"features": torch.from_numpy(ARRAYS["features"]), "labels": torch.from_numpy(ARRAYS["labels"])},
        folder / "features.pt",
    )


IMPORTS: dict[str, Reader] = {
    "import of npz": Reader(lambda f: np.savez(f / "x.npz", **ARRAYS), "x.npz", _import("x.npz")),
    "import of packed npz": Reader(lambda f: np.savez_compressed(f / "x.npz", **ARRAYS), "x.npz", _import("x.npz")),
    "import of HDF5": Reader(_h5, "features.h5", _import("features.h5")),
    "import of HDF5 with strings": Reader(_h5_with_strings, "features.h5", _import("features.h5")),
    "import of HDF5, one array a video": Reader(_h5_keyed, "features.h5", _import("features.h5")),
    "import of pt": Reader(_pt, "features.pt", _import("features.pt")),
    "import of npy": Reader(_export("npy", "npy"), "npy/**/*.npy", _import("npy")),
    "import of npy, what is beside": Reader(_export("npy", "npy"), "npy/**/*.json", _import("npy")),
    "import of parquet": Reader(_export("parquet", "x.parquet"), "x.parquet", _import("x.parquet")),
    "import of tars": Reader(_export("webdataset", "tars"), "tars/*.tar", _import("tars")),
}
