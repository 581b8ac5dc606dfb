"""A small text tower of random weights, of open_clip, for the tests of what is learned through one."""

import open_clip
import torch

from framebank.extract.encoders.text_tower import TextTower

NUM_POSITIONS = 24
VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
TEXT = {"context_length": NUM_POSITIONS, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}


def network_of(dim: int, *, kind: str = "CLIP", **text: object) -> torch.nn.Module:
    """A CLIP or, where its text tower lies apart, a CustomTextCLIP."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return getattr(open_clip, kind)(dim, dict(VISION), {**TEXT, **text}).eval().requires_grad_(False)


tokenize = open_clip.SimpleTokenizer(context_length=NUM_POSITIONS)


def tower_of(dim: int, *, kind: str = "CLIP", **text: object) -> TextTower:
    return TextTower(network_of(dim, kind=kind, **text), tokenize, model="small")
