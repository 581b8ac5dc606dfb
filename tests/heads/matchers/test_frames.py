"""Some of the stored frames of each video: the recipe's `frames`, in training and wherever the run is used."""

import json

import numpy as np
import pytest
import torch

from framebank.heads.bank import load_bank
from framebank.heads.evaluation.evaluate import evaluate_run, evaluate_zero_shot
from framebank.heads.labelling.neighbours import index_store, pool_query
from framebank.heads.predictions import embed_bank, predict
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.tests.heads.one_at_a_time import label_by_model
from framebank.tests.worlds.heads import CLASSES, LABELS

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


def test_bank_of_some_frames(groups, bank):
    some = load_bank(groups.store, groups.manifest, LABELS, device=CPU, num_frames=4)
    full = bank.video_ids.index("wave-train-0")
    assert torch.equal(some.x[6 * full : 6 * full + 6], bank.x[6 * full : 6 * full + 6, 1::2])
    still = bank.video_ids.index("still")
    assert some.mask[6 * still : 6 * still + 6].tolist() == [[True, False, False, False]] * 6


@pytest.mark.parametrize("frames", [0, 2])
def test_a_run_uses_its_frames_everywhere(groups, tmp_path, frames):
    recipe = Recipe(head="lstm", loss="ce", epochs=2, batch_size=16, frames=frames)
    train = groups.manifest.split("train")
    job = TrainingJob(groups.store, train, recipe, prompts=groups.prompts, device=CPU)
    folder = tmp_path / "run"
    job.save(folder, log=list(job.epochs()))
    run = Run.read(folder)
    assert job.train.x.shape[1] == job.val.x.shape[1] == (frames or 8)
    bank = load_bank(groups.store, groups.manifest, LABELS, device=CPU, num_frames=frames)
    scores = predict(run.model, bank, labels=CLASSES, device=CPU).scores

    report = evaluate_run(run, groups.store, groups.manifest, split="all", device=CPU, folder=folder)
    with np.load(folder / "predictions.npz") as found:
        np.testing.assert_array_equal(found["scores"], scores)
    assert report["made_by"]["recipe"]["frames"] == frames
    index = index_store(groups.store, groups.manifest, run=run, run_path=folder, device=CPU)
    pooled = embed_bank(run.model, bank, device=CPU)
    query = pool_query(index, groups.store["rise-test-0"])[0]
    place = bank.video_ids.index("rise-test-0")
    np.testing.assert_allclose(query, pooled[place], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(index.vector("rise-test-0"), query / np.linalg.norm(query), rtol=1e-4, atol=1e-5)
    ranked = dict(label_by_model(run.model, CLASSES, groups.store["rise-test-0"], num_frames=frames))
    np.testing.assert_allclose([ranked[name] for name in CLASSES], scores[place], rtol=1e-4, atol=1e-6)
    zero = evaluate_zero_shot(
        groups.prompts,
        groups.store,
        groups.manifest,
        split="all",
        scoring="probabilities",
        device=CPU,
        run=run,
        folder=folder,
    )
    assert zero["made_by"]["frames"] == frames
    assert zero["confusion"] == report["confusion"]


def test_views_and_frames_of_the_command(groups, tmp_path, framebank):
    groups.prompts.write(tmp_path / "prompts.h5")
    options = ["--prompts", tmp_path / "prompts.h5", "--epochs", 1, "--views", "all", "--frames", 4]
    framebank("train", groups.store.path, tmp_path / "run", "--head", "mean", *options, "--device", "cpu")
    recipe = Recipe.read(tmp_path / "run" / "recipe.toml")
    assert (recipe.views, recipe.frames) == ("all", 4)
    framebank("evaluate", tmp_path / "run", "--device", "cpu")
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["videos_evaluated"] == 22
