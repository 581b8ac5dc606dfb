"""Where place decides: the token decoder reads what the mean over a frame's places cannot tell."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from framebank.heads.predictions import predict_logits
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe, read_recipe
from framebank.store import Embeddings, FeatureStore, Manifest, ShardWriter, Video
from framebank.tests.worlds.heads import DIM, SPEC

CPU = torch.device("cpu")
SIDE, NUM_FRAMES, WIDTH = 2, 4, DIM
LABELS = ("left rise", "left fall", "right rise", "right fall")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two movements, each on the left or on the right. A frame's own row is the mean of its places."""
    folder = tmp_path_factory.mktemp("places")
    rng = np.random.default_rng(0)
    videos = [
        Video(f"{label}-{i}".replace(" ", "-"), folder / f"{label}-{i}.mp4", label, "train" if i < 24 else "test")
        for label in LABELS
        for i in range(36)
    ]
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    spec = replace(SPEC, sampling=f"segments:{NUM_FRAMES}", streams=f"frame,tokens:{SIDE}")
    what, where = rng.normal(size=WIDTH), rng.normal(size=(SIDE * SIDE, WIDTH))  # a real patch knows its place a little
    with ShardWriter(folder, spec) as writer:
        for video in videos:
            side, movement = video.label.split()
            amount = np.linspace(-1, 1, NUM_FRAMES) * (1 if movement == "rise" else -1)
            tokens = rng.normal(size=(NUM_FRAMES, SIDE * SIDE, WIDTH)) * 0.2 + where
            tokens[:, 0 if side == "left" else 1] += amount[:, None] * what
            frame = tokens.mean(1)
            times = np.arange(NUM_FRAMES)
            writer.add(video.video_id, Embeddings(frame, times / 10, times, streams={"tokens": tokens}))
    return FeatureStore(folder)


def top_1(store, recipe: Recipe) -> float:
    job = TrainingJob(store, store.manifest.split("train"), recipe, device=CPU)
    list(job.epochs())
    test = TrainingJob(store, store.manifest.split("test"), replace(recipe, val_fraction=0.0), device=CPU).train
    return float((predict_logits(job.model, test, device=CPU).argmax(1) == test.target).float().mean())


def test_the_decoder_tells_left_from_right_and_frame_rows_do_not(store):
    settings = {
        "epochs": "80",
        "batch_size": "16",
        "lr": "1e-2",
        "warmup": "0",
        "val_fraction": "0",
        "head.blocks": "1",
    }
    tokens = read_recipe("attentive-tokens").with_settings(settings)
    rows = replace(tokens, stream="frame")
    by_rows, by_tokens = top_1(store, rows), top_1(store, tokens)
    assert by_rows <= 0.7  # half of them: it sees the movement and not the side
    assert by_tokens >= by_rows + 0.1
    assert by_tokens >= 0.8
