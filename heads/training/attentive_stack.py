"""AttentiveStack: copies of one attentive probe whose queries read the same frozen tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.classifiers.linear import LinearClassifier
from framebank.heads.model import Model
from framebank.heads.temporal.attentive import Attentive
from framebank.heads.training.stack import Stack


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
        tokens = tokens - tokens.mean(-1, keepdim=True)  # (B, N, D)
        places = self._positions(head, frames.shape[1])  # (P, N, D)
        variance = tokens.square().mean(-1)  # (B, N)
        if places is not None:
            both = torch.einsum("bnd,pnd->pbn", tokens, places) / tokens.shape[-1]
            variance = variance + 2 * both + places.square().mean(-1)[:, None]  # (P, B, N)
        scale = (variance + head.frame_norm.eps).rsqrt().unsqueeze(-2)  # (P, B, 1, N)
        gain, shift = (own[f"head.frame_norm.{name}"][:, None] for name in ("weight", "bias"))  # (P, 1, D)
        weight = own["head.kv.weight"].unflatten(1, (2, head.num_heads, -1))  # (P, 2, H, D/H, D)
        bias = own["head.kv.bias"].unflatten(1, (2, head.num_heads, -1))  # (P, 2, H, D/H)
        query = own["head.query"]  # (P, 1, D)
        asked = self._linear("head.q", query).unflatten(-1, (head.num_heads, -1)).squeeze(1)  # (P, H, D/H)
        behind = gain * torch.einsum("phd,phdw->phw", asked, weight[:, 0])  # (P, H, D)
        scores = torch.einsum("bnd,phd->pbhn", tokens, behind)
        if places is not None:
            scores = scores + torch.einsum("pnd,phd->phn", places, behind)[:, None]
        scores = scale * scores + (asked * bias[:, 0]).sum(-1)[:, None, :, None]
        share = (scores * asked.shape[-1] ** -0.5).masked_fill(~real[:, None], -torch.inf).softmax(-1)  # (P, B, H, N)
        share = share * scale
        mean = torch.einsum("pbhn,bnd->pbhd", share, tokens)
        if places is not None:
            mean = mean + torch.einsum("pbhn,pnd->pbhd", share, places)
        mean = gain[:, None] * mean + shift[:, None]  # (P, B, H, D)
        read = torch.einsum("pbhw,phdw->pbhd", mean, weight[:, 1]) + bias[:, None, 1]
        pooled = query + read.flatten(2)  # (P, B, D)
        pooled = pooled + self._mlp(head, pooled)
        return self._linear("classifier.linear", F.rms_norm(pooled, pooled.shape[-1:]))

    def _positions(self, head: Attentive, num_frames: int) -> Tensor | None:
        """Return the positions of all tokens less their mean, (P, N, D), or None if there are none."""
        if head.positions is None:
            return None
        times = self.weights["head.positions"][:, :num_frames]  # (P, T, D)
        if head.place_positions is not None:
            times = (times[:, :, None] + self.weights["head.place_positions"][:, None]).flatten(1, 2)
        return times - times.mean(-1, keepdim=True)

    def _mlp(self, head: Attentive, pooled: Tensor) -> Tensor:
        """Return the mlp of each copy behind its norm: (P, B, D) -> (P, B, D)."""
        gain, shift = (self.weights[f"head.mlp_norm.{name}"][:, None] for name in ("weight", "bias"))
        normed = F.layer_norm(pooled, pooled.shape[-1:], eps=head.mlp_norm.eps) * gain + shift
        return self._linear("head.mlp.2", F.gelu(self._linear("head.mlp.0", normed)))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        """Apply the linear layer of each copy: (P, B, D) -> (P, B, E)."""
        bias, weight = self.weights[f"{name}.bias"], self.weights[f"{name}.weight"]
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))
