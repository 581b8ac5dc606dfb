"""AttentiveStack: copies of one attentive probe whose queries read the same frozen tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.classifiers.linear import LinearClassifier
from framebank.heads.model import Model
from framebank.heads.temporal.attentive import Attentive
from framebank.heads.training.stack import Stack
from framebank.heads.training.stacked_adamw import product


def reads_shared(model: Model) -> bool:
    """Return whether copies of a model can share tokens: a query alone, no block before it, a linear classifier."""
    head = model.head
    return (
        isinstance(head, Attentive)
        and not (head.blocks or head.token_norm or head.out or model.head_mix or model.live)
        and type(model.classifier) is LinearClassifier
    )


class AttentiveStack(Stack):
    """P copies of an attentive probe: what `Stack` gives, in fewer sums.

    A token has another key and value in each copy, but a single query needs neither. A score is the token times the
    query behind the matrix of the keys, (H, D), and the matrix of the values takes the mean token of each attention
    head. The norm in front reads token and position together, and positions differ for each copy; the variance is that
    of the token, that of the position and twice their product. So no tensor holds the tokens of all copies.
    """

    def logits(self, x: Tensor, mask: Tensor) -> Tensor:
        """Score the same videos with each copy: x (B, T, D), mask (B, T) -> (P, B, C)."""
        head, own = self._shell.head, self.weights
        assert isinstance(head, Attentive)
        tokens, real, frames = head.packed(self._shell.frames(x), mask)
        if head.positions is not None and frames.shape[1] > len(head.positions):
            return super().logits(x, mask)  # a table that is stretched is another one for each video
        tokens = tokens.sub_(tokens.mean(-1, keepdim=True))  # (B, N, D); packed tokens are a copy
        times, spots = self._positions(head, frames.shape[1], tokens)
        pooled = own["head.query"] + self._read(head, tokens, real, times, spots)  # (P, B, D)
        gain, shift = (own[f"head.mlp_norm.{name}"][:, None] for name in ("weight", "bias"))  # (P, 1, D)
        normed = torch.addcmul(shift, F.layer_norm(pooled, pooled.shape[-1:], eps=head.mlp_norm.eps), gain)
        pooled = pooled + self._linear("head.mlp.2", F.gelu(self._linear("head.mlp.0", normed)))
        return self._linear("classifier.linear", F.rms_norm(pooled, pooled.shape[-1:]))

    def _read(self, head: Attentive, tokens: Tensor, real: Tensor, times: Tensor, spots: Tensor) -> Tensor:
        """Return what each query reads in tokens (B, N, D), real (B, N), at the `_positions`, (P, B, D)."""
        own = self.weights
        gain, shift = (own[f"head.frame_norm.{name}"][:, None, None] for name in ("weight", "bias"))  # (P, 1, 1, D)
        halves = (each.unflatten(1, (2, head.num_heads, -1)).unbind(1) for each in self._adam["head.kv.weight"])
        keys, values = zip(*halves, strict=True)  # each weights and their means, 3 x (P, H, D/H, D)
        asked = self._linear("head.q", own["head.query"]).unflatten(2, (head.num_heads, 1, -1))[:, 0]  # (P, H, 1, D/H)
        behind = product(asked, keys, self._adam, flipped=True) * gain * asked.shape[-1] ** -0.5
        behind = behind.squeeze(2)  # (P, H, D)
        scores = torch.bmm(behind.flatten(0, 1).expand(len(tokens), -1, -1), tokens.mT).float()  # (B, P * H, N)
        placed = torch.bmm(behind, times.mT)[..., None] + torch.bmm(behind, spots.mT)[:, :, None]  # (P, H, T, S)
        scores = scores.unflatten(1, behind.shape[:2]) + placed.flatten(2)  # (B, P, H, N)
        scale = _scale(tokens, times, spots, eps=head.frame_norm.eps)[:, :, None]  # (B, P, 1, N)
        scores = (scores * scale).masked_fill(~real[:, None, None], torch.finfo(scores.dtype).min)
        mean = _weighted(scores.softmax(-1) * scale, tokens, times, spots)  # (P, H, B, D)
        read = product(torch.addcmul(shift, mean, gain), values, self._adam).transpose(1, 2).flatten(2)  # (P, B, D)
        answer: Tensor = read + own["head.kv.bias"].unflatten(1, (2, -1))[:, 1, None]
        return answer

    def _positions(self, head: Attentive, num_frames: int, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the positions of frames (P, T, D) and of the places in them (P, S, D), less their mean."""
        none = tokens.new_zeros(len(self.weights["head.query"]), num_frames, tokens.shape[-1])
        times = none if head.positions is None else self.weights["head.positions"][:, :num_frames]
        spots = none[:, :1].expand(-1, head.places, -1)
        if head.place_positions is not None:
            spots = self.weights["head.place_positions"]
        return times - times.mean(-1, keepdim=True), spots - spots.mean(-1, keepdim=True)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        """Apply the linear layer of each copy: (P, B, D) -> (P, B, E). AdamW moves its matrix as `product` tells."""
        weight, mean, square = (each[:, None] for each in self._adam[f"{name}.weight"])
        answer = product(x[:, None], (weight, mean, square), self._adam).squeeze(1)
        return answer + self.weights[f"{name}.bias"][:, None].to(answer.dtype)


def _scale(tokens: Tensor, times: Tensor, spots: Tensor, *, eps: float) -> Tensor:
    """Return what the norm multiplies tokens (B, N, D) at `_positions` with, (B, P, N), in float32 always."""
    with torch.autocast(tokens.device.type, enabled=False):
        both = _dots(tokens, times, spots) + torch.bmm(times, spots.mT).flatten(1)  # (B, P, N)
        sizes = times.square().mean(-1)[..., None] + spots.square().mean(-1)[:, None]  # (P, T, S)
        norms = torch.linalg.vector_norm(tokens, dim=-1)[:, None]  # (B, 1, N)
        variance = (norms.square() + 2 * both) / tokens.shape[-1] + sizes.flatten(1)
        scale: Tensor = (variance + eps).rsqrt()
    return scale


def _dots(tokens: Tensor, times: Tensor, spots: Tensor) -> Tensor:
    """Return the products of tokens (B, N, D) with their own positions, (B, P, N)."""
    if spots.shape[1] == 1:  # a frame is one place, which has no position of its own
        return torch.bmm(tokens.transpose(0, 1), times.permute(1, 2, 0)).permute(1, 2, 0)
    placed = tokens.unflatten(1, (times.shape[1], -1))  # (B, T, S, D)
    by_time = (placed @ times.permute(1, 2, 0)).permute(0, 3, 1, 2)  # (B, P, T, S)
    by_spot = torch.bmm(placed.flatten(0, 1).transpose(0, 1), spots.permute(1, 2, 0))  # (S, B * T, P)
    dots: Tensor = by_time + by_spot.unflatten(1, placed.shape[:2]).permute(1, 3, 2, 0)
    return dots.flatten(2)


def _weighted(share: Tensor, tokens: Tensor, times: Tensor, spots: Tensor) -> Tensor:
    """Return the sums of tokens (B, N, D) and their positions, by the shares (B, P, H, N), (P, H, B, D)."""
    total: Tensor = torch.bmm(share.flatten(1, 2), tokens).transpose(0, 1).unflatten(0, share.shape[1:3])
    by_place = share.permute(1, 2, 0, 3).unflatten(-1, (times.shape[1], -1))  # (P, H, B, T, S)
    for table, own in ((times, by_place.sum(-1)), (spots, by_place.sum(-2))):
        total = total + torch.bmm(own.flatten(1, 2), table).view_as(total)
    return total
