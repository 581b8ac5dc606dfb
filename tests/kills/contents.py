"""What a reader makes of what a command wrote: before and after a kill it is one of two, and never another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from framebank.tests.kills.world import tree


def store_at(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from framebank.store import FeatureStore
        from framebank.store.upkeep.history import History

        store = FeatureStore(name)
        rows = [(video_id, store[video_id].data.tobytes()) for video_id in sorted(store)]
        return rows, store.manifest, store.failures, History.read(Path(name)).by_hand

    return read


def index_at(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from framebank.store.indexes.index import Index

        index = Index.load(name)
        made = index.enrolment
        held = index.searched
        rows = held.rows and (held.rows.vectors.tobytes(), held.rows.spans.tolist())
        near = held.near and (held.near.kind, dict(held.near.settings), len(index.search(index.vectors[:1], 2)[0]))
        told = (dict(made.thresholds), made.nearest, made.calibration.share, rows, near)
        return index.vectors.tobytes(), index.videos, *told

    return read


def run_at(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from framebank.heads.training.run import Run

        run = Run.read(name)
        return run.weights_hash, run.trained_on.get("confidence")

    return read


def encoder_at(name: str) -> Callable[[], Any]:
    """What the weights and the adapters of an adapted encoder say, and the numbers in them."""

    def read() -> Any:
        from framebank.extract.adapters.adapted import ADAPTERS, WEIGHTS, read_adapted, read_adapters
        from framebank.store.files.replacing import current

        weights = current(Path(name), WEIGHTS)
        adapters = current(Path(name), ADAPTERS)
        numbers = read_adapters(weights) if adapters.exists() else {}
        return read_adapted(weights), sorted(numbers), weights.stat().st_size

    return read


def matcher_at(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from framebank.heads.fewshot.run import FewshotRun

        return FewshotRun.read(name).weights_hash

    return read


def soundness_of(*names: str) -> Callable[[], Any]:
    """The faults of stores that may lack videos for a while, but are never anything worse."""

    def read() -> Any:
        from framebank.store.shard import shard_paths
        from framebank.store.upkeep.verify import verify_store

        begun = [Path(name) for name in names if shard_paths(Path(name))]
        return [fault.problem for folder in begun for fault in verify_store(folder).faults]

    return read


def measured_at(name: str) -> Callable[[], Any]:
    """How many videos a run was measured on, by both files that say it."""

    def read() -> Any:
        from framebank.store.files.replacing import current

        with np.load(current(Path(name), "predictions.npz")) as predictions:
            count = len(predictions["video_ids"])
        return count, json.loads(current(Path(name), "metrics.json").read_text())["videos_evaluated"]

    return read


def results_at(name: str = "results.jsonl") -> Callable[[], Any]:
    """The protocol and the figure of each line."""

    def read() -> Any:
        from framebank.heads.evaluation.ledger import read_results

        return [(line["protocol"]["name"], line["top1"]) for line in read_results(Path(name))]

    return read


def tree_at(name: str) -> Callable[[], Any]:
    def read() -> Any:
        path = Path(name)
        return dict(tree(path)) if path.is_dir() else path.read_bytes()

    return read
