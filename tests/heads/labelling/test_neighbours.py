from dataclasses import replace

import numpy as np
import pytest
import torch

from framebank.heads.evaluation.zeroshot import zero_shot_model
from framebank.heads.labelling.answers import answers_of_index
from framebank.heads.labelling.neighbours import as_batch, index_store, pool_query, require_text_space
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError, Embeddings, FeatureStore, Manifest, Video
from framebank.store.indexes.index import Index
from framebank.store.indexes.origin import Difference
from framebank.store.shard import ShardWriter
from framebank.tests.heads.one_at_a_time import label_by_model
from framebank.tests.worlds.heads import CLASSES, SPEC, write_world

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def index(world):
    return index_store(world.store, world.manifest, run=None, run_path=None, device=CPU)


def run_of(world, folder, **changes):
    recipe = replace(Recipe(head="lstm", loss="ce", epochs=15, batch_size=16, lr=0.01), **changes)
    prompts = world.prompts if recipe.classifier == "text" else None
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=prompts, device=CPU)
    return job.save(folder, log=list(job.epochs()))


def test_vectors_are_means_of_unit_frames(world, index):
    for video_id, rows in (("wave-train-0", slice(None)), ("short", [0, 3, 5]), ("ragged", slice(None))):
        frames = world.store[video_id].data.astype(np.float32)[rows]
        mean = (frames / np.linalg.norm(frames, axis=1, keepdims=True)).mean(0)
        np.testing.assert_allclose(index.vector(video_id), mean / np.linalg.norm(mean), rtol=1e-4, atol=1e-6)
    assert len(index) == len(world.store)


def test_a_video_without_a_usable_embedding_is_left_out_and_named(tmp_path):
    rows = {
        "good": np.ones((2, SPEC.dim)),
        "bad": np.full((2, SPEC.dim), np.nan),
        "zeros": np.zeros((2, SPEC.dim)),
        "endless": np.full((2, SPEC.dim), np.inf),
    }
    Manifest(tuple(Video(name, tmp_path / f"{name}.mp4", "wave", "test") for name in rows)).write(
        tmp_path / "manifest.csv"
    )
    with ShardWriter(tmp_path, SPEC, max_videos=9) as writer:
        for name, frames in rows.items():
            writer.add(name, Embeddings(frames.astype(np.float16), np.zeros(2), np.arange(2)))
    store = FeatureStore(tmp_path)
    index = index_store(store, store.manifest, run=None, run_path=None, device=CPU, split="all")
    assert [video.video_id for video in index.videos] == ["good"]
    assert index.origin.left_out == {"bad": "not all numbers", "zeros": "all zeros", "endless": "not all numbers"}
    assert index.compare() == Difference(store.path)
    index.save(tmp_path / "index")
    again = Index.load(str(tmp_path / "index"))
    assert (again.origin.left_out, len(again)) == (index.origin.left_out, 1)
    assert [hit.video_id for hit in again.search(np.ones((1, SPEC.dim)), 9)[0]] == ["good"]
    some = Manifest(tuple(video for video in store.manifest.videos if video.video_id != "good"))
    with pytest.raises(DataError, match=r"none of the 3 videos has an embedding that can be compared; .* 'bad' is not"):
        index_store(store, some, run=None, run_path=None, device=CPU)


@pytest.mark.parametrize("video_id", ["wave-train-0", "short", "ragged", "unknown"])
def test_query_is_pooled_as_the_index(world, index, video_id):
    query = pool_query(index, world.store[video_id])
    assert query.shape == (1, SPEC.dim)
    hit = index.search(query, 1)[0][0]
    assert hit.video_id == video_id
    assert hit.score == pytest.approx(1, abs=1e-5)


def test_query_that_was_never_rounded(world, index):
    stored = world.store["short"]
    fresh = Embeddings(stored.data.astype(np.float32) + 1e-4, stored.timestamps, stored.indices)
    assert index.search(pool_query(index, fresh), 1)[0][0].video_id == "short"


def test_search_id(world, index):
    hits = index.search_id("wave-train-0", k=5)
    assert len(hits) == 5
    assert "wave-train-0" not in [hit.video_id for hit in hits]
    assert {hit.label for hit in hits} == {"wave"}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    everyone = index.search_id("wave-train-0", k=len(index) - 1)
    assert {hit.video_id for hit in everyone} == set(world.store) - {"wave-train-0"}


def test_neighbours_of_one_of_several_equal_videos(world):
    videos = [replace(world.manifest.videos[0], video_id=f"copy {n}") for n in range(6)]
    index = Index(np.ones((6, SPEC.dim), dtype=np.float32), videos, spec=SPEC, made_by={})
    for n in range(6):
        hits = index.search_id(f"copy {n}", k=3)
        assert len(hits) == 3
        assert f"copy {n}" not in [hit.video_id for hit in hits]


def test_neighbours_that_are_not_there(index):
    assert len(index.search_id("short", k=1000)) == len(index) - 1  # all there are
    with pytest.raises(DataError, match="the index has no video 'lost'"):
        index.search_id("lost", k=1)


def test_index_by_a_run(world, tmp_path):
    run = run_of(world, tmp_path / "run")
    index = index_store(world.store, world.manifest, run=run, run_path=tmp_path / "run", device=CPU)
    index.save(tmp_path / "index")
    index = Index.load(tmp_path / "index")
    # the head tells a class from its reversal, which no mean can
    assert {hit.label for hit in index.search_id("rise-test-0", k=5)} == {"rise"}
    assert {hit.label for hit in index.search_id("fall-test-0", k=5)} == {"fall"}
    query = pool_query(index, world.store["short"])
    assert index.search(query, 1)[0][0].video_id == "short"
    require_text_space(index)
    assert index.made_by["head"] == "lstm"
    (tmp_path / "run" / "checkpoint.safetensors").unlink()
    with pytest.raises(DataError, match=r"holds no checkpoint.safetensors"):
        pool_query(index, world.store["short"])


def test_run_that_was_trained_again(world, tmp_path):
    run = run_of(world, tmp_path / "run", epochs=1)
    index = index_store(world.store, world.manifest, run=run, run_path=tmp_path / "run", device=CPU)
    pool_query(index, world.store["rise-test-0"])
    run_of(world, tmp_path / "run", epochs=1, seed=5)
    with pytest.raises(DataError, match="was trained again since"):
        pool_query(index, world.store["rise-test-0"])


def test_text_query_on_a_linear_run(world, index, tmp_path):
    require_text_space(index)
    run = run_of(world, tmp_path, head="mean", classifier="linear", epochs=1)
    by_run = index_store(world.store, world.manifest, run=run, run_path=tmp_path, device=CPU)
    with pytest.raises(DataError, match="whose classifier is 'linear': its vectors cannot be compared with texts"):
        require_text_space(by_run)


def test_run_of_another_store(world, tmp_path):
    run = run_of(world, tmp_path / "run", epochs=1)
    left = write_world(tmp_path / "left", spec=replace(SPEC, view="left", precision="cuda-bf16", decoder="other 2.0"))
    index = index_store(left.store, left.manifest, run=run, run_path=tmp_path / "run", device=CPU)
    assert index.spec == left.store.spec
    other = write_world(tmp_path / "other", spec=replace(SPEC, weights_hash="fedcba"))
    message = r"was made with weights_hash '0123456789abcdef', .* with weights_hash 'fedcba'; they cannot be mixed"
    with pytest.raises(DataError, match=message):
        index_store(other.store, other.manifest, run=run, run_path=tmp_path / "run", device=CPU)


def test_batch_of_one(world):
    x, mask = as_batch(world.store["short"])
    assert (x.shape, x.dtype) == ((1, 8, SPEC.dim), torch.float16)
    assert mask.tolist() == [[True, False, False, True, False, True, False, False]]


def test_the_neighbours_vote(world, index):
    (votes,) = answers_of_index(index, world.store["unknown"], k=10)
    assert votes.ranked[0][0] == "clap"
    assert sum(share for _, share in votes.ranked) == pytest.approx(1)
    assert answers_of_index(index, world.store["unknown"], k=1000) == answers_of_index(
        index, world.store["unknown"], k=83
    )


def test_label_by_model(world, tmp_path):
    model = zero_shot_model(world.prompts, scoring="probabilities")
    ranked = label_by_model(model, CLASSES, world.store["short"])
    assert ranked[0][0] == "wave"
    assert sorted(label for label, _ in ranked) == sorted(CLASSES)
    assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)
    assert sum(score for _, score in ranked) == pytest.approx(1, abs=1e-5)
    run_of(world, tmp_path)
    run = Run.read(tmp_path)
    assert label_by_model(run.model, run.labels, world.store["rise-test-0"])[0][0] == "rise"
    assert label_by_model(run.model, run.labels, world.store["fall-test-0"])[0][0] == "fall"
