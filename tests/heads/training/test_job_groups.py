"""What a training says where groups leave it nothing to validate by, or are on both sides."""

from pathlib import Path

import numpy as np
import torch

from framebank.heads.classifiers.folds import fold_numbers
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe, read_recipe
from framebank.store import Embeddings, FeatureStore, Manifest, ShardWriter, Video
from framebank.tests.worlds.store import DIM, SPEC

RECIPE = Recipe(head="mean", classifier="ridge", loss="ce", epochs=0, val_fraction=0.2)


def job(folder: Path, videos: list[Video], *, recipe: Recipe = RECIPE, **options: object) -> TrainingJob:
    rng = np.random.default_rng(0)
    folder.mkdir()
    with ShardWriter(folder, SPEC) as writer:
        for video in videos:
            data = rng.normal(size=(1, DIM)).astype(np.float16)
            rows = Embeddings(data=data, timestamps=np.zeros(1), indices=np.zeros(1, np.int64))
            writer.add(video.video_id, rows, decoder="d")
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    store = FeatureStore(folder)
    return TrainingJob(store, store.split("train"), recipe, device=torch.device("cpu"), **options)


def parts(num_files: int, split: str = "train") -> list[Video]:
    return [
        Video(f"{split}-{file}-{part}", Path(f"/v/{file}.mp4"), "xy"[file % 2], split, part, part + 0.5)
        for file in range(num_files)
        for part in range(10)
    ]


def test_validation_videos_are_of_other_sources(tmp_path):
    trained = job(tmp_path / "bank", parts(8))
    assert trained.notes == ()
    assert trained.val is not None
    files = [{name.split("-")[1] for name in bank.video_ids} for bank in (trained.train, trained.val)]
    assert not files[0] & files[1]
    assert len(trained.val) == 20


def test_classes_of_one_source_are_named(tmp_path):
    trained = job(tmp_path / "bank", parts(2))
    assert trained.val is None
    assert trained.notes == (
        "2 classes ('x', 'y') have videos of too few sources, so none of them is held out for validation; "
        "the column group of manifest.csv says which videos are of one source",
    )


def test_splits_that_share_a_source_stay_and_are_told(tmp_path):
    trained = job(tmp_path / "bank", [*parts(4), *parts(1, split="val")])
    assert trained.val is not None and len(trained.val) == 10
    assert len(trained.train) == 40
    shared, without = sorted(trained.notes)
    assert shared.startswith("10 training videos are of one source with validation videos")
    assert without == "no validation video is of the class 'y'; what is chosen is not judged by it"


def test_the_recipe_ridge_holds_nothing_out_and_chooses_by_other_sources(tmp_path, monkeypatch):
    folds = []

    def recorded(target, groups=None):
        folds.append(fold_numbers(target, groups))
        return folds[-1]

    monkeypatch.setattr("framebank.heads.classifiers.folds.fold_numbers", recorded)
    trained = job(tmp_path / "bank", parts(8), recipe=read_recipe("ridge"))
    assert trained.val is None
    (fold,) = folds
    of_file = {}
    for video_id, number in zip(trained.train.video_ids, fold.tolist(), strict=True):
        of_file.setdefault(video_id.split("-")[1], set()).add(number)
    assert len(of_file) == 8 and all(len(numbers) == 1 for numbers in of_file.values())
    assert len(set(fold.tolist())) == 4  # two files of each of the two classes in each fold
