import pytest
import torch

from framebank.heads.training.augmentation import mix_videos


def batch(*, layers=(), dtype=torch.float16):
    torch.manual_seed(0)
    x = torch.randn(6, 5, *layers, 3).to(dtype)
    mask = torch.arange(5) < torch.tensor([5, 2, 3, 5, 1, 4])[:, None]
    return x, mask, torch.eye(4)[torch.tensor([0, 1, 2, 3, 0, 1])]


def mixed(x, mask, labels, *, alpha=0.8, seed=3):
    """What mix_videos gives, and the pairs and the share that its generator draws."""
    found = mix_videos(x, mask, labels, alpha=alpha, generator=torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed)
    torch.randint(2**31, (), generator=generator)
    other = torch.randperm(len(x), generator=generator)
    share = mix_videos(
        torch.ones(2, 1, 1), torch.ones(2, 1).bool(), torch.eye(2), alpha=alpha,
        generator=torch.Generator().manual_seed(seed),
    )[2].max(0).values  # fmt: skip
    return found, other, share


@pytest.mark.parametrize("layers", [(), (2,)])
def test_frames_are_blended_where_both_videos_have_them(layers):
    x, mask, labels = batch(layers=layers, dtype=torch.float32)
    (found, found_mask, found_labels), other, _ = mixed(x, mask, labels)
    assert found.shape == x.shape
    shares = {}
    for video, partner in enumerate(other.tolist()):
        # the share is read off the labels, where the two differ
        own = labels[video].argmax()
        if own != labels[partner].argmax():
            shares[video] = float(found_labels[video, own])
    share = next(iter(shares.values()))
    assert len(shares) > 2
    assert all(value == pytest.approx(share, abs=1e-6) for value in shares.values())
    assert 0 < share < 1
    for video, partner in enumerate(other.tolist()):
        for frame in range(5):
            mine, theirs = bool(mask[video, frame]), bool(mask[partner, frame])
            assert bool(found_mask[video, frame]) == (mine or theirs)
            if mine and theirs:
                expected = share * x[video, frame] + (1 - share) * x[partner, frame]
            elif mine or theirs:
                expected = x[video if mine else partner, frame]
            else:
                continue
            torch.testing.assert_close(found[video, frame], expected)


def test_labels_share_the_video():
    x, mask, labels = batch()
    _, _, found = mixed(x, mask, labels)[0]
    torch.testing.assert_close(found.sum(1), torch.ones(6))
    several = torch.tensor([[1.0, 1, 0], [0, 1, 1]])
    _, _, found = mix_videos(x[:2], mask[:2], several, alpha=1.0, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(found[:, 1], torch.ones(2))  # both have it


def test_the_type_of_the_bank_stays():
    x, mask, labels = batch()
    found, found_mask, found_labels = mixed(x, mask, labels)[0]
    assert (found.dtype, found_mask.dtype, found_labels.dtype) == (torch.float16, torch.bool, torch.float32)


def test_a_batch_of_one_video_stays_as_it_is():
    x, mask, labels = batch()
    found, found_mask, found_labels = mixed(x[1:2], mask[1:2], labels[1:2])[0]
    torch.testing.assert_close(found, x[1:2])
    assert torch.equal(found_mask, mask[1:2])
    torch.testing.assert_close(found_labels, labels[1:2])


def test_alpha_is_how_alike_the_shares_are():
    x, mask, labels = torch.ones(2, 1, 1), torch.ones(2, 1).bool(), torch.eye(2)

    def shares(alpha):
        found = []
        for seed in range(120):
            generator = torch.Generator().manual_seed(seed)
            mixed_labels = mix_videos(x, mask, labels, alpha=alpha, generator=generator)[2]
            if not torch.equal(mixed_labels, labels):  # or nobody changed places
                found.append(float(mixed_labels[0, 0]))
        return torch.tensor(found)

    few, many = shares(0.1), shares(50.0)
    assert (many - 0.5).abs().max() < 0.3
    assert ((few < 0.05) | (few > 0.95)).float().mean() > 0.5


def test_the_generator_decides_and_the_state_of_the_process_stays():
    x, mask, labels = batch()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = mixed(x, mask, labels)[0]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    again, other = mixed(x, mask, labels)[0], mixed(x, mask, labels, seed=4)[0]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_nothing_of_the_padding_gets_in():
    x, mask, labels = batch(dtype=torch.float32)
    wild = torch.where(mask.unsqueeze(-1), x, 1e4)
    found, found_mask, _ = mixed(wild, mask, labels)[0]
    torch.testing.assert_close(found[found_mask], mixed(x, mask, labels)[0][0][found_mask])
