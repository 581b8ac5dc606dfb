"""Runs on other streams than the frames' embeddings: what a bank holds of each, and trainings from end to end."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from framebank.heads.bank import load_bank
from framebank.heads.evaluation.evaluate import evaluate_run
from framebank.heads.labelling.neighbours import index_store
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError, Embeddings, FeatureStore, Manifest, ShardWriter, Video
from framebank.tests.worlds.heads import CLASSES, DIM, SPEC, frames_of, prompts_of

CPU = torch.device("cpu")
NUM_FRAMES, WIDTH = 4, 12
QUICK = Recipe(head="mean", classifier="linear", loss="ce", epochs=2, batch_size=16, val_fraction=0.0)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Six videos of each class, with regions (2 x 2), two layers, what comes before the projection, and patches."""
    folder = tmp_path_factory.mktemp("streams")
    rng = np.random.default_rng(0)
    videos = [
        Video(f"{c}-{i}", folder / f"{c}-{i}.mp4", c, "train" if i < 4 else "test") for c in CLASSES for i in range(6)
    ]
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    spec = replace(
        SPEC, sampling=f"segments:{NUM_FRAMES}", streams="frame,regions:2,tokens:2,layers:1+-1,pre_proj,patch_mean"
    )
    with ShardWriter(folder, spec, max_videos=5) as writer:
        for video in videos:
            frame = frames_of(video.label, rng, num_frames=NUM_FRAMES).astype(np.float16)
            streams = {
                "regions": np.stack([frame + number for number in range(4)], axis=1),  # (T, 4, D)
                "tokens": np.stack([np.concatenate([frame, frame], axis=1) + number for number in range(4)], axis=1),
                "layers": rng.normal(size=(NUM_FRAMES, 2, WIDTH)),
                "pre_proj": np.concatenate([frame, frame], axis=1)[:, :20],
            }
            patches = rng.normal(size=(1, 9, DIM))
            times = np.arange(NUM_FRAMES)
            writer.add(video.video_id, Embeddings(frame, times / 10, times, streams=streams, patch_mean=patches))
    return FeatureStore(folder)


def load(store, stream, **options):
    return load_bank(store, store.manifest.split("train"), prompts_of().labels, device=CPU, stream=stream, **options)


def test_shapes(store):
    assert load(store, "regions").x.shape == (16, NUM_FRAMES * 4, DIM)
    assert load(store, "tokens").x.shape == (16, NUM_FRAMES * 4, 2 * DIM)
    assert load(store, "layers").x.shape == (16, NUM_FRAMES, 2, WIDTH)
    assert load(store, "pre_proj").x.shape == (16, NUM_FRAMES, 20)
    assert load(store, "patch_mean").x.shape == (16, 9, DIM)
    for stream in ("regions", "layers", "pre_proj", "patch_mean"):
        bank = load(store, stream)
        assert bank.mask.shape == bank.x.shape[:2]
        assert bank.mask.all()


def test_regions_lie_frame_by_frame(store):
    frame, regions = load(store, "frame").x, load(store, "regions").x.unflatten(1, (NUM_FRAMES, 4))
    for number in range(4):
        torch.testing.assert_close(regions[:, :, number].float(), frame.float() + number, atol=0.02, rtol=0.01)
    few = load(store, "regions", num_frames=2).x.unflatten(1, (2, 4))
    torch.testing.assert_close(few[:, :, 0], regions[:, [1, 3], 0])


def test_a_stream_that_is_not_there(store):
    with pytest.raises(
        DataError, match=r"has no stream 'depth'.*; it has frame, layers, patch_mean, pre_proj, regions, tokens"
    ):
        load(store, "depth")


@pytest.mark.parametrize(
    ("stream", "choices"),
    [
        ("regions", {}),
        ("regions", {"classifier": "semantic-units"}),
        ("regions", {"head": "attentive"}),
        ("tokens", {"head": "attentive", "head_options": {"blocks": 2}}),
        ("patch_mean", {"classifier": "text"}),
        ("pre_proj", {"head": "transformer"}),
        ("layers", {"head": "sloshnet-layers"}),
        ("layers", {"head": "sloshnet-layers", "classifier": "text", "loss": "kl"}),
    ],
)
def test_a_run_comes_back_and_is_measured(store, tmp_path, stream, choices):
    recipe = replace(QUICK, stream=stream, **choices)
    prompts = prompts_of() if recipe.reads_texts else None
    job = TrainingJob(store, store.manifest.split("train"), recipe, prompts=prompts, device=CPU)
    made = job.save(tmp_path / "run", log=list(job.epochs()))
    run = Run.read(tmp_path / "run")
    test = store.manifest.split("test")
    report = evaluate_run(run, store, test, split="test", device=CPU, folder=tmp_path / "run")
    assert report["videos_evaluated"] == 8
    assert report == evaluate_run(made, store, test, split="test", device=CPU, folder=tmp_path / "run")
    with pytest.raises(DataError, match=f"the run reads the stream '{stream}'"):
        index_store(store, test, run=run, run_path=tmp_path / "run", device=CPU)


def test_texts_of_another_width_are_refused(store):
    recipe = replace(QUICK, stream="pre_proj", classifier="text")
    with pytest.raises(DataError, match="the stream 'pre_proj' is 20 wide and the texts are 16; expected a classifier"):
        TrainingJob(store, store.manifest.split("train"), recipe, prompts=prompts_of(), device=CPU)


def test_a_head_of_layers_needs_them():
    with pytest.raises(DataError, match="the head 'sloshnet-layers' reads the stream 'layers', but stream is 'frame'"):
        replace(QUICK, head="sloshnet-layers")
    with pytest.raises(DataError, match="the head 'lstm' reads the stream 'frame', but stream is 'layers'"):
        replace(QUICK, head="lstm", stream="layers")


def test_the_token_decoder_knows_the_places_of_its_store(store):
    recipe = replace(QUICK, head="attentive", head_options={"blocks": 1}, stream="tokens")
    job = TrainingJob(store, store.manifest.split("train"), recipe, device=CPU)
    assert job.recipe.head_options == {"blocks": 1, "places": 4}
    assert job.model.head.place_positions.shape == (4, 2 * DIM)
