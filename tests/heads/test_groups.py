"""Several views and clips of a video, beside each other in a store."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from framebank.heads.bank import group_rows, load_bank
from framebank.heads.labelling.neighbours import as_batch, index_store, pool_query
from framebank.heads.predictions import embed_bank, predict
from framebank.heads.training.batches import draw_sequences
from framebank.heads.training.build import build_model
from framebank.heads.training.loop import fit
from framebank.heads.training.recipe import VIEWS as WAYS
from framebank.heads.training.recipe import Recipe
from framebank.store import DataError, Embeddings, FeatureStore, Manifest, ShardWriter
from framebank.tests.heads.one_at_a_time import label_by_model
from framebank.tests.worlds.heads import CLASSES, CLIPS, DIM, LABELS, SPEC, VIEWS, World, texts_of

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(groups):
    return build_model(Recipe(head="lstm"), dim=DIM, num_classes=4, texts=texts_of(groups.prompts)).eval()


def alone(world: World, folder, group: int) -> World:
    """The same store with one of its groups alone."""
    folder.mkdir()
    with ShardWriter(folder, SPEC) as writer:
        for video_id, found in world.store.items():
            view, clip = divmod(group, CLIPS)
            chosen = (found.views == view) & (found.clips == clip)
            writer.add(video_id, Embeddings(found.data[chosen], found.timestamps[chosen], found.indices[chosen]))
    world.manifest.write(folder / "manifest.csv")
    return replace(world, store=FeatureStore(folder))


def test_a_group_is_a_sequence(groups, bank):
    assert bank.num_groups == VIEWS * CLIPS
    assert bank.x.shape == (len(bank) * 6, 8, DIM)
    for position, video_id in enumerate(bank.video_ids):
        found = groups.store[video_id]
        for view in range(VIEWS):
            for clip in range(CLIPS):
                stored = found.data[(found.views == view) & (found.clips == clip)]
                sequence = bank.x[position * 6 + view * CLIPS + clip].numpy()
                assert np.array_equal(sequence[: len(stored)], stored), (video_id, view, clip)


def test_repeats_are_masked_in_a_group_and_not_across(bank):
    mask = bank.mask.unflatten(0, (-1, 6))  # (V, G, T)
    still, ragged = bank.video_ids.index("still"), bank.video_ids.index("ragged")
    # each row of "still" is frame 0, also where one group ends and the next begins
    assert mask[still].tolist() == [[True] + [False] * 7] * 6
    assert mask[ragged].tolist() == [[True] * 5 + [False] * 3] * 6
    others = [position for position in range(len(bank)) if position not in (still, ragged)]
    assert mask[others].all()


def test_probabilities_are_averaged(groups, bank, model, tmp_path):
    scores = predict(model, bank, labels=CLASSES, device=CPU).scores
    each = []
    for group in range(6):
        one = alone(groups, tmp_path / str(group), group).store
        single = load_bank(one, groups.manifest, LABELS, device=CPU)
        assert single.num_groups == 1
        each.append(predict(model, single, labels=CLASSES, device=CPU).scores)
    assert np.ptp(each, axis=0).max() > 0.01  # the groups differ
    np.testing.assert_allclose(scores, np.mean(each, axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-5)


def test_unit_embeddings_are_averaged(groups, bank, model, tmp_path):
    vectors = embed_bank(model, bank, device=CPU)
    each = []
    for group in range(6):
        one = alone(groups, tmp_path / str(group), group).store
        pooled = embed_bank(model, load_bank(one, groups.manifest, LABELS, device=CPU), device=CPU)
        each.append(pooled / np.linalg.norm(pooled, axis=1, keepdims=True))
    np.testing.assert_allclose(vectors, np.mean(each, axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("video_id", ["wave-train-0", "still", "ragged"])
def test_query_is_pooled_as_the_index(groups, video_id):
    index = index_store(groups.store, groups.manifest, run=None, run_path=None, device=CPU)
    query = pool_query(index, groups.store[video_id])
    assert query.shape == (1, DIM)
    query /= np.linalg.norm(query)
    np.testing.assert_allclose(query[0], index.vector(video_id), rtol=1e-4, atol=1e-6)


def test_batch_of_one_video(groups):
    x, mask = as_batch(groups.store["ragged"])
    assert x.shape == (6, 5, DIM)
    assert mask.all()
    x, mask = as_batch(groups.store["still"])
    assert mask.sum(1).tolist() == [1] * 6


def test_label_is_that_of_the_bank(groups, bank, model):
    scores = predict(model, bank, labels=CLASSES, device=CPU).scores
    for video_id in ("rise-test-0", "ragged"):
        ranked = dict(label_by_model(model, CLASSES, groups.store[video_id]))
        expected = scores[bank.video_ids.index(video_id)]
        np.testing.assert_allclose([ranked[name] for name in CLASSES], expected, rtol=1e-4, atol=1e-6)


def test_rows_by_hand():
    places, real = group_rows(np.array([8, 4]), num_groups=2)
    assert places.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 0, 0], [2, 3, 2, 2]]
    assert real.tolist() == [[True] * 4] * 2 + [[True, True, False, False]] * 2


@pytest.mark.parametrize(
    ("rows", "num_frames", "expected"),
    [
        (16, 8, [1, 3, 5, 7, 9, 11, 13, 15]),
        (8, 8, list(range(8))),
        (300, 3, [50, 150, 250]),
        (7, 3, [1, 3, 5]),
        (5, 1, [2]),
    ],
)
def test_frames_are_the_centres_of_equal_segments(rows, num_frames, expected):
    places, real = group_rows(np.array([rows, rows]), num_groups=1, num_frames=num_frames)
    assert places.tolist() == [expected] * 2
    assert real.all()


def test_frames_of_a_shorter_video_are_all_its_own():
    places, real = group_rows(np.array([12, 4]), num_groups=2, num_frames=3)
    assert places.tolist() == [[1, 3, 5], [7, 9, 11], [0, 1, 0], [2, 3, 2]]
    assert real.tolist() == [[True] * 3] * 2 + [[True, True, False]] * 2
    assert group_rows(np.array([6, 4]), num_groups=2, num_frames=100)[0].shape == (4, 3)  # no padding beyond them


def test_rows_that_do_not_divide(groups, tmp_path):
    rng = np.random.default_rng(0)
    with ShardWriter(tmp_path, SPEC) as writer:
        for video_id, rows in (("wave-train-0", 6), ("clap-train-0", 5)):
            views = np.arange(rows) // 3
            writer.add(video_id, Embeddings(rng.normal(size=(rows, DIM)), np.arange(rows), np.arange(rows), views))
    videos = tuple(v for v in groups.manifest.videos if v.video_id in ("wave-train-0", "clap-train-0"))
    with pytest.raises(DataError, match="'clap-train-0' has 5 rows; expected a multiple of 2, the number"):
        load_bank(FeatureStore(tmp_path), Manifest(videos), LABELS, device=CPU)


def train_weights(world, bank, **changes):
    recipe = Recipe(head="conv1d", loss="kl", epochs=3, batch_size=16, frame_dropout=0.2, **changes)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(world.prompts))
    log = list(fit(model, recipe, bank, val=None, texts=texts_of(world.prompts), device=CPU))
    return torch.cat([p.detach().flatten() for p in model.parameters()]), log


@pytest.fixture(scope="module")
def train(groups):
    return load_bank(groups.store, groups.manifest.split("train"), LABELS, device=CPU)


def test_an_epoch_of_each_way(train):
    generator = torch.Generator().manual_seed(0)
    videos = len(train)
    everything = draw_sequences(train, "all", generator=generator)
    assert sorted(everything.tolist()) == list(range(videos * 6))
    assert sorted(draw_sequences(train, "first", generator=generator).tolist()) == list(range(0, videos * 6, 6))
    epochs = [draw_sequences(train, "random", generator=generator) for _ in range(600)]
    for rows in epochs:
        assert sorted((rows // 6).tolist()) == list(range(videos))
    counts = torch.cat(epochs).bincount()  # of each group of each video: binomial, mean 100, deviation 9
    assert 50 < counts.min() <= counts.max() < 150


def test_targets_are_those_of_the_videos(groups, train, monkeypatch):
    seen = []

    def spy(_, step):
        seen.extend(step.target.tolist())
        return step.logits.sum()

    monkeypatch.setattr("framebank.heads.losses.cross_entropy.CrossEntropy.forward", spy)
    for views, times in (("all", 6), ("random", 1), ("first", 1)):
        seen.clear()
        recipe = Recipe(head="conv1d", loss="ce", epochs=1, batch_size=16, views=views)
        list(
            fit(
                build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(groups.prompts)),
                recipe,
                train,
                val=None,
                texts=texts_of(groups.prompts),
                device=CPU,
            )
        )
        assert np.bincount(seen).tolist() == [12 * times] * 4


@pytest.mark.parametrize("views", WAYS)
def test_learns_the_videos_it_is_given(groups, views):
    videos = groups.manifest.split("train")
    bank = load_bank(groups.store, videos, LABELS, device=CPU)
    recipe = Recipe(head="lstm", loss="ce", epochs=8 if views == "all" else 25, batch_size=16, lr=0.01, views=views)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(groups.prompts))
    list(fit(model, recipe, bank, val=None, texts=texts_of(groups.prompts), device=CPU))
    test = load_bank(groups.store, groups.manifest.split("val"), LABELS, device=CPU)
    found = predict(model, test, labels=CLASSES, device=CPU)
    assert (found.scores.argmax(1) == found.targets).mean() > 0.9  # with targets of other videos: a quarter


def test_first_is_the_store_with_the_first_group_alone(groups, train, tmp_path):
    one = alone(groups, tmp_path / "first", 0)
    single = load_bank(one.store, groups.manifest.split("train"), LABELS, device=CPU)
    weights, log = train_weights(groups, single)
    others, same = train_weights(groups, train, views="first")
    assert torch.equal(weights, others)
    assert [epoch.loss for epoch in log] == [epoch.loss for epoch in same]
    assert not torch.equal(weights, train_weights(groups, train, views="random")[0])


def test_all_ways_are_one_where_there_is_one_group(groups, tmp_path):
    one = alone(groups, tmp_path / "one", 2)
    bank = load_bank(one.store, groups.manifest.split("train"), LABELS, device=CPU)
    weights = [train_weights(groups, bank, views=views)[0] for views in WAYS]
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


def test_learning_rate_falls_over_all_steps(groups, train):
    for views in WAYS:
        log = train_weights(groups, train, views=views)[1]
        assert log[0].lr > log[1].lr > log[2].lr == pytest.approx(0, abs=1e-12)
