"""HDF5 files with one damage anywhere: read as they were where there is a checksum, or refused in a sentence."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from framebank.store import DataError, FeatureStore, PromptBank
from framebank.store.source import Names
from framebank.store.sources import open_source
from framebank.tests.hostile_world import mutated
from framebank.tests.store_world import make_earlier, make_store

NUM_CASES = int(os.environ.get("MUTATIONS", "150"))  # of each form of file

MADE_BY = Path(__file__).parent / "made_by"
NEWEST = sorted(MADE_BY.iterdir())[-1]


def store_file(folder: Path) -> Path:
    return make_store(folder / "store", {"a": 3, "b/c": 1, "é": 5}, max_videos=10) / "shard-00000.h5"


def earlier_store_file(folder: Path) -> Path:
    path = store_file(folder)
    make_earlier(path)
    return path


def prompts_file(folder: Path) -> Path:
    PromptBank.read(NEWEST / "prompts.h5").write(folder / "prompts.h5")
    return folder / "prompts.h5"


def earlier_prompts_file(folder: Path) -> Path:
    return Path(shutil.copy(MADE_BY / "0.1.0" / "prompts.h5", folder / "prompts.h5"))


def packed_file(folder: Path) -> Path:
    with h5py.File(folder / "all.h5", "w") as file:
        file.create_dataset("features", data=np.ones((6, 4, 8), "<f4"), chunks=(2, 4, 8), compression="gzip")
        file["video_id"], file["label"] = [f"v{n}" for n in range(6)], np.array([b"x", b"y"] * 3)
    return folder / "all.h5"


def keyed_file(folder: Path) -> Path:
    with h5py.File(folder / "all.h5", "w") as file:
        for number in range(5):
            file[f"v_{number}/c3d"] = np.full((5, 8), number + 1.0)
    return folder / "all.h5"


def read_store(path: Path) -> Any:
    store = FeatureStore(path.parent)
    videos = [store.read_video(video_id) for video_id in store]
    values = [(one.data, one.timestamps, one.indices, one.views, one.clips) for one in videos]
    packed = [one.tobytes() for one in store.read_packed()]
    return store.spec, store.decoders, store.sources, [[v.tobytes() for v in one] for one in values], packed


def read_prompts(path: Path) -> Any:
    bank = PromptBank.read(path)
    arrays = [one.tobytes() for one in (bank.embeddings, bank.template, bank.end)]
    return bank.labels, bank.texts, bank.templates, bank.kind, bank.encoder, bank.logit_scale, arrays


def read_import(path: Path) -> Any:
    source = open_source(path, Names())
    return [source.read(video).values.tobytes() for video in source.manifest.videos]


Make, Read = Callable[[Path], Path], Callable[[Path], Any]

# What makes a file, what reads it, and whether everything in it has a checksum.
FORMS: dict[str, tuple[Make, Read, bool]] = {
    "a shard": (store_file, read_store, True),
    "prompts": (prompts_file, read_prompts, True),
    "an earlier shard": (earlier_store_file, read_store, False),
    "earlier prompts": (earlier_prompts_file, read_prompts, False),
    "packed features": (packed_file, read_import, False),
    "a dataset a video": (keyed_file, read_import, False),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_damage(tmp_path: Path, form: str) -> None:
    make, read, is_sealed = FORMS[form]
    path = make(tmp_path)
    content, expected = path.read_bytes(), read(path)
    generator = random.Random(1)
    refused = 0
    for _ in range(NUM_CASES):
        path.write_bytes(mutated(content, generator))
        try:
            found = read(path)
        except DataError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
        else:
            assert found == expected or not is_sealed
    assert refused
