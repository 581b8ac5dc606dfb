"""TED: it starts as nothing, reads neighbouring frames of one clip, and adds what M2-CLIP's formulas add."""

import torch
from torch import nn

from framebank.extract.adapters.ted import AdaptedBlock, Enhancement, FrameDifference, TedAdapter


def filled(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.requires_grad_(False)


def adapter(*, prefix: int = 1, grid: tuple[int, int] | None = (2, 2)) -> TedAdapter:
    return TedAdapter(6, num_frames=3, prefix=prefix, grid=grid)


def test_it_starts_as_nothing() -> None:
    tokens = torch.randn(6, 5, 6)
    torch.testing.assert_close(adapter()(tokens), tokens)
    torch.testing.assert_close(AdaptedBlock(adapter(), nn.Identity())(tokens), tokens)


def test_enhancement_is_a_convolution_over_the_frames_of_a_place() -> None:
    own = filled(Enhancement(4, 2))
    x = torch.randn(1, 3, 2, 4)
    narrow = own.down(x)
    padded = nn.functional.pad(narrow, (0, 0, 0, 0, 1, 1))  # a frame of zeros before the first and behind the last
    kernel = own.mix.weight[:, 0]  # (H, 3)
    mixed = sum(padded[:, shift : shift + 3] * kernel[:, shift] for shift in range(3)) + own.mix.bias
    torch.testing.assert_close(own(x), x + own.up(mixed))
    torch.testing.assert_close(own(x[:, :, 0]), own(x)[:, :, 0])  # embeddings, one a frame


def test_difference_is_zero_where_nothing_moves() -> None:
    own = filled(FrameDifference(4, 2))
    still = torch.randn(1, 1, 4, 4).expand(1, 3, 4, 4)
    moving = still.clone()
    moving[:, 2] += 1
    nothing = own(still, (2, 2))
    torch.testing.assert_close(nothing[:, 0], nothing[:, 1])
    found = own(moving, (2, 2))
    torch.testing.assert_close(found[:, :2], nothing[:, :2])
    assert (found[:, 2] - nothing[:, 2]).abs().max() > 1e-3


def test_the_class_token_has_no_difference() -> None:
    own = filled(adapter())
    tokens = torch.randn(3, 5, 6)
    enhanced = own.enhancement(tokens[None])[0]
    torch.testing.assert_close(own(tokens)[:, 0], enhanced[:, 0])
    assert (own(tokens)[:, 1:] - enhanced[:, 1:]).abs().max() > 1e-3


def test_clips_do_not_read_each_other() -> None:
    own = filled(adapter())
    tokens = torch.randn(6, 5, 6)
    torch.testing.assert_close(own(tokens)[:3], own(tokens[:3]))


def test_a_map_is_its_places_as_tokens() -> None:
    own = filled(adapter(prefix=0, grid=None))
    maps = torch.randn(3, 6, 2, 2)
    same = filled(adapter(prefix=0))
    tokens = same(maps.flatten(2).transpose(1, 2))
    torch.testing.assert_close(own(maps), tokens.transpose(1, 2).unflatten(2, (2, 2)))
