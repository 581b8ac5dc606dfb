import pytest
import torch

from framebank.heads.bank import Bank
from framebank.heads.training.batches import draw_frames, draw_sequences


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def bank_of(target, *, num_groups=1, num_classes=3):
    target = torch.as_tensor(target)
    rows = len(target) * num_groups
    return Bank(
        video_ids=tuple(f"v{number}" for number in range(len(target))),
        x=torch.zeros(rows, 2, 4),
        mask=torch.ones(rows, 2, dtype=torch.bool),
        target=target.float() if target.ndim == 2 else target,
        num_listed=len(target),
        num_groups=num_groups,
        num_classes=num_classes,
    )


def videos_of(bank, views, **options):
    return draw_sequences(bank, views, generator=generator(), **options) // bank.num_groups


@pytest.mark.parametrize("views", ["all", "first", "random"])
def test_shuffle_gives_every_video_once(views):
    bank = bank_of([0] * 9 + [1])
    assert sorted(draw_sequences(bank, views, generator=generator()).tolist()) == list(range(10))


def test_views_of_a_video():
    bank = bank_of([0, 1, 2, 0, 1], num_groups=3)
    assert sorted(draw_sequences(bank, "all", generator=generator()).tolist()) == list(range(15))
    assert sorted(draw_sequences(bank, "first", generator=generator()).tolist()) == [0, 3, 6, 9, 12]
    drawn = torch.stack([draw_sequences(bank, "random", generator=generator(seed)) for seed in range(60)])
    assert all(sorted(row) == [0, 1, 2, 3, 4] for row in (drawn // 3).tolist())
    assert set((drawn % 3).flatten().tolist()) == {0, 1, 2}


def test_balanced_draws_every_class_as_often():
    bank = bank_of([0] * 900 + [1] * 90 + [2] * 10)
    classes = bank.target[videos_of(bank, "first", sampler="balanced")]
    assert len(classes) == 1000
    # 333 of each are expected, with a standard deviation of 15
    assert all(abs(count - 1000 / 3) < 75 for count in classes.bincount().tolist())


def test_balanced_draws_the_videos_of_a_class_alike():
    bank = bank_of([0] * 8 + [1] * 2)
    drawn = torch.cat(
        [draw_sequences(bank, "first", sampler="balanced", generator=generator(seed)) for seed in range(400)]
    )
    counts = drawn.bincount(minlength=10)  # of 4000: 250 each of the eight, 1000 each of the two
    assert all(abs(count - 250) < 80 for count in counts[:8].tolist())
    assert all(abs(count - 1000) < 140 for count in counts[8:].tolist())


def test_balanced_of_several_labels_favours_the_rare():
    bank = bank_of([[1, 0, 0]] * 8 + [[1, 1, 0]] * 2)
    drawn = torch.cat(
        [draw_sequences(bank, "first", sampler="balanced", generator=generator(seed)) for seed in range(400)]
    )
    counts = drawn.bincount(minlength=10).float()  # rarity 1/10 of the first eight, 1/10 + 1/2 of the others
    assert float(counts[8:].mean() / counts[:8].mean()) == pytest.approx(6, rel=0.15)


def test_a_class_without_videos_is_no_obstacle():
    assert len(videos_of(bank_of([0, 0, 1], num_classes=5), "first", sampler="balanced")) == 3


def test_balanced_with_views_gives_as_many_rows():
    bank = bank_of([0, 0, 0, 1], num_groups=2)
    rows = draw_sequences(bank, "all", sampler="balanced", generator=generator())
    assert len(rows) == 8
    assert rows.bincount(minlength=8).reshape(4, 2).diff(dim=1).abs().max() == 0  # both views of each that was drawn
    assert len(draw_sequences(bank, "first", sampler="balanced", generator=generator())) == 4


@pytest.mark.parametrize("sampler", ["shuffle", "balanced"])
def test_the_generator_decides(sampler):
    bank = bank_of([0, 1, 2] * 20, num_groups=2)
    torch.manual_seed(1)
    first = draw_sequences(bank, "random", sampler=sampler, generator=generator(5))
    torch.manual_seed(2)
    assert torch.equal(draw_sequences(bank, "random", sampler=sampler, generator=generator(5)), first)
    assert not torch.equal(draw_sequences(bank, "random", sampler=sampler, generator=generator(6)), first)


def places(count, *, total, batch=500):
    """Which frames were taken, (B, count), of frames that hold their own number."""
    x = torch.arange(total).float()[None, :, None].expand(batch, -1, 3)
    torch.manual_seed(0)
    drawn, mask = draw_frames(x, torch.ones(batch, total, dtype=torch.bool), count)
    assert drawn.shape == (batch, min(count, total), 3)
    assert mask.shape == drawn.shape[:2]
    return drawn[..., 0].long()


@pytest.mark.parametrize(("total", "count"), [(8, 4), (16, 4), (12, 3)])
def test_one_frame_of_each_equal_segment(total, count):
    found, width = places(count, total=total), total // count
    for segment in range(count):
        assert set(found[:, segment].tolist()) == set(range(segment * width, (segment + 1) * width))


@pytest.mark.parametrize(("total", "count"), [(7, 4), (10, 8), (5, 3), (9, 8)])
def test_segments_that_are_not_whole_cover_all_frames_in_order(total, count):
    found = places(count, total=total)
    assert (found.diff(dim=1) > 0).all()
    assert set(found.flatten().tolist()) == set(range(total))


def test_no_more_frames_than_wanted_stay_as_they_are():
    x, mask = torch.randn(2, 4, 3), torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]]).bool()
    for count in (4, 6):
        drawn, drawn_mask = draw_frames(x, mask, count)
        assert drawn is x
        assert drawn_mask is mask


def test_layers_and_the_mask_go_with_their_frame():
    x = torch.randn(3, 6, 2, 5)
    mask = torch.arange(6) < torch.tensor([6, 5, 6])[:, None]
    drawn, drawn_mask = draw_frames(x, mask, 3)
    assert drawn.shape == (3, 3, 2, 5)
    for video in range(3):
        for frame, seen in zip(drawn[video], drawn_mask[video], strict=True):
            place = next(t for t in range(6) if torch.equal(x[video, t], frame))
            assert seen == mask[video, place]


def test_a_short_video_among_long_ones_keeps_frames_of_its_own():
    # 3 real frames beside videos of 16: segments of its own, not of the padding
    x, mask = torch.randn(64, 16, 2), torch.ones(64, 16, dtype=torch.bool)
    mask[:, 3:] = False
    assert draw_frames(x, mask, 4)[1].sum(1).min() == 3
    eight = mask.clone()
    eight[:, :8] = True
    assert draw_frames(x, eight, 4)[1].all()


def test_holes_are_no_frames():
    x = torch.arange(12).float()[None, :, None].expand(300, -1, 1)
    mask = torch.tensor([1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0, 0]).bool().expand(300, -1)
    drawn, drawn_mask = draw_frames(x, mask, 3)
    assert drawn_mask.all()
    assert [set(drawn[:, segment, 0].tolist()) for segment in range(3)] == [{0, 2}, {3, 6}, {7, 9}]


def test_a_video_without_a_frame_gets_none():
    mask = torch.tensor([[True] * 6, [False] * 6])
    assert draw_frames(torch.randn(2, 6, 3), mask, 4)[1].tolist() == [[True] * 4, [False] * 4]
