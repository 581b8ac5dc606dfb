"""Readers of a store and of class texts."""

import contextlib
import dataclasses
import shutil
from pathlib import Path

import numpy as np

from framebank.store import DataError, Embeddings, FeatureStore, Manifest, PromptBank, ShardWriter
from framebank.store.ledger import Failure, Ledger
from framebank.store.upkeep.history import History
from framebank.store.upkeep.known_files import NAME as SOURCES
from framebank.store.upkeep.known_files import learned_text, read_learned
from framebank.store.upkeep.relabel import relabel_store
from framebank.store.upkeep.repair import repair_store
from framebank.store.upkeep.verify import verify_store
from framebank.store.videos.identity import Identity
from framebank.tests.fuzz.readers.reader import Reader
from framebank.tests.places import TESTS
from framebank.tests.worlds.heads import prompts_of
from framebank.tests.worlds.store import DIM, SPEC, make_earlier, make_store, videos


def _store(folder: Path) -> None:
    make_store(folder, {"a/one": 3, "a/two": 2, "b/three": 4, "b/four": 3})
    Ledger(folder / "failed.csv").add(Failure("c/five", "decode", "decoding fails after frame 3"))
    (folder / SOURCES).write_text(learned_text({name: Identity(5, "1700", "ab" * 16) for name in ("a/one", "a/two")}))
    relabel_store(folder, {("a/one", "label"): "set by hand", ("b/four", "split"): "test"})


def _eight_bits(folder: Path) -> None:
    """Places of the frames in 8 bits."""
    rng = np.random.default_rng(0)
    with ShardWriter(folder, dataclasses.replace(SPEC, streams="frame,tokens:2:8"), max_videos=2) as writer:
        for name in ("a/one", "a/two", "b/three"):
            times = np.arange(3)
            tokens = {"tokens": rng.normal(size=(3, 4, 16))}
            writer.add(name, Embeddings(rng.normal(size=(3, DIM)), times / 10, times, streams=tokens))
    Manifest(videos("a/one", "a/two", "b/three")).write(folder / "manifest.csv")


def _earlier_store(folder: Path) -> None:
    _store(folder)
    for path in folder.glob("shard-*.h5"):
        make_earlier(path)


def read_store(folder: Path) -> list[object]:
    """Return all that a store holds."""
    store = FeatureStore(folder)
    each = [(name, store[name], store.read_video(name)) for name in store]
    packed = [store.read_packed(name) for name in store.streams]
    return [store.spec, store.ids, dict(store.decoders), each, packed, store.sources]


def _verify(folder: Path) -> object:
    faults = verify_store(folder).faults
    if faults:
        raise DataError(faults[0].problem)
    return "no fault"


def _repair(folder: Path) -> object:
    """What is left after a repair is whole, and what was there is among it or set aside."""
    left = [fault for fault in repair_store(folder).left if fault.hurts != "store"]
    assert not left, left
    with contextlib.suppress(DataError):  # nothing is left
        read_store(folder)
    return ""


def _prompts(folder: Path) -> None:
    prompts_of().write(folder / "prompts.h5")


def _earlier_prompts(folder: Path) -> None:
    shutil.copy(TESTS / "made_by" / "0.1.0" / "prompts.h5", folder / "prompts.h5")


STORES: dict[str, Reader] = {
    "shards": Reader(_store, "shard-*.h5", read_store, has_digest=True),
    "shards, by verify": Reader(_store, "shard-*.h5", _verify, has_digest=True),
    "shards, by repair": Reader(_store, "shard-*.h5", _repair),
    "shards of 8 bits": Reader(_eight_bits, "shard-*.h5", read_store, has_digest=True),
    "shards of 0.1.0": Reader(_earlier_store, "shard-*.h5", read_store),
    "shards of 0.1.0, by repair": Reader(_earlier_store, "shard-*.h5", _repair),
    "manifest": Reader(_store, "manifest.csv", lambda folder: FeatureStore(folder).manifest.videos),
    "ledger": Reader(_store, "failed.csv", lambda folder: FeatureStore(folder).failures),
    "sources": Reader(_store, SOURCES, read_learned),
    "history": Reader(_store, "history.csv", History.read),
    "prompts": Reader(_prompts, "prompts.h5", lambda f: PromptBank.read(f / "prompts.h5"), has_digest=True),
    "prompts of 0.1.0": Reader(_earlier_prompts, "prompts.h5", lambda f: PromptBank.read(f / "prompts.h5")),
}
