from functools import partial

import numpy as np
import pytest
import torch

from framebank.heads.bank import BankParts, load_bank
from framebank.heads.model import Model
from framebank.heads.predictions import embed_bank, predict
from framebank.heads.temporal.mean import Mean
from framebank.store import DataError, LabelSet, Manifest
from framebank.tests.worlds.heads import CLASSES, DIM, NUM_FRAMES

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bank(world):
    return load_bank(world.store, world.manifest, LabelSet(CLASSES), device=CPU)


def test_rows_are_the_stores(world, bank):
    for position, video_id in enumerate(bank.video_ids):
        stored = world.store[video_id].data
        assert np.array_equal(bank.x[position, : len(stored)].numpy(), stored), video_id
    assert bank.x.shape == (len(bank), NUM_FRAMES, DIM)
    assert bank.x.dtype == torch.float16


def test_order_is_the_manifests(world, bank):
    assert bank.video_ids == tuple(v.video_id for v in world.manifest.videos if v.video_id != "lost")
    turned = Manifest(world.manifest.videos[::-1])
    assert load_bank(world.store, turned, None, device=CPU).video_ids == bank.video_ids[::-1]


def test_repeats_and_missing_rows_are_masked(bank):
    mask = dict(zip(bank.video_ids, bank.mask.tolist(), strict=True))
    assert mask.pop("short") == [True, False, False, True, False, True, False, False]
    assert mask.pop("ragged") == [True] * 5 + [False] * 3
    assert all(all(row) for row in mask.values())


def test_only_ragged_videos(world):
    videos = tuple(v for v in world.manifest.videos if v.video_id in ("ragged", "short"))
    bank = load_bank(world.store, Manifest(videos[::-1]), None, device=CPU)
    assert bank.video_ids == ("ragged", "short")
    assert bank.mask.sum(1).tolist() == [5, 3]
    alone = load_bank(world.store, Manifest(videos[1:]), None, device=CPU)
    assert alone.x.shape == (1, 5, DIM)


def test_targets_are_positions_among_the_labels(world, bank):
    labels = {video.video_id: video.label for video in world.manifest.videos}
    expected = [CLASSES.index(labels[v]) if labels[v] else -1 for v in bank.video_ids]
    assert bank.target.tolist() == expected
    assert bank.target.dtype == torch.int64
    assert bank.target[bank.video_ids.index("unknown")] == -1
    assert (load_bank(world.store, world.manifest, None, device=CPU).target == -1).all()


def test_counts(world, bank):
    assert bank.num_listed == len(world.manifest) == len(bank) + 1
    assert bank.num_bytes == len(bank) * NUM_FRAMES * DIM * 2
    assert repr(bank) == f"Bank(x=({len(bank)}, 8, 16) torch.float16 on cpu, {len(bank) + 1} listed)"


def test_no_embedding_at_all(world):
    lost = Manifest(tuple(v for v in world.manifest.videos if v.video_id == "lost"))
    with pytest.raises(DataError, match="of the 1 video asked for, none has an embedding"):
        load_bank(world.store, lost, None, device=CPU)


def test_parts_are_the_bank(world, monkeypatch):
    monkeypatch.setattr("framebank.heads.bank.READ_BYTES", 1000)  # a few videos are read at a time
    labels = LabelSet(CLASSES)
    whole = load_bank(world.store, world.manifest, labels, device=CPU)
    parts = list(BankParts(world.store, world.manifest, labels).read(device=CPU, at_once=7))
    assert [len(part) for part in parts[:-1]] == [7] * (len(parts) - 1)
    assert sum((part.video_ids for part in parts), ()) == whole.video_ids
    for name in ("x", "mask", "target"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name)), name


def test_chosen_videos_have_the_rows_of_the_bank(world, monkeypatch):
    parts = BankParts(world.store, world.manifest, LabelSet(CLASSES))
    whole = parts.read_all(device=CPU)
    chosen = np.array([len(whole) - 1, 0, 3])
    monkeypatch.setattr("framebank.heads.bank.READ_BYTES", 1)  # a video at a time
    some = parts.read_chosen(chosen, device=CPU)
    assert some.video_ids == tuple(whole.video_ids[place] for place in chosen)
    for name in ("x", "mask", "target"):
        assert torch.equal(getattr(some, name), getattr(whole, name)[chosen])
    assert some.num_listed == whole.num_listed


def test_parts_give_the_scores_and_vectors_of_the_whole(world, monkeypatch):
    monkeypatch.setattr("framebank.heads.bank.READ_BYTES", 1)
    model = Model(Mean(DIM), torch.nn.Linear(DIM, 4))
    parts = BankParts(world.store, world.manifest, LabelSet(CLASSES))
    monkeypatch.setattr(parts, "read", partial(BankParts.read, parts, at_once=5))
    whole = parts.read_all(device=CPU)
    found, expected = (predict(model, bank, labels=CLASSES, device=CPU) for bank in (parts, whole))
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)
    assert found.video_ids == expected.video_ids
    vectors = embed_bank(model, parts, device=CPU)
    np.testing.assert_allclose(vectors, embed_bank(model, whole, device=CPU), rtol=1e-6)
