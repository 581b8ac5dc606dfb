"""TextTrunk: a text tower cut before its last blocks, so that these can run on what a first pass gave for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from framebank.store.errors import DataError

PARTS = ("token_embedding", "positional_embedding", "transformer", "ln_final", "text_projection")
AT_ONCE = 256  # sentences
POOLS = ("first", "last", "argmax", "eos")  # which token of a sentence is read


@dataclass(frozen=True)
class TextStates:
    """What enters some blocks for N sentences: states (N, L, W), and which place of each is read in the end, (N,)."""

    states: Tensor
    ends: Tensor


@dataclass(frozen=True)
class TextTrunk:
    """The blocks of a text tower of open_clip in their order, and the parts around them: states are (N, L, W)."""

    text: Any

    @property
    def blocks(self) -> tuple[nn.Module, ...]:
        """The blocks, from first to last."""
        return tuple(self.text.transformer.resblocks)

    @property
    def ends(self) -> tuple[nn.Parameter, ...]:
        """The parameters behind the last block: the norm and the projection."""
        return tuple(self._parameters())

    @property
    def width(self) -> int:
        """The width W of a state."""
        return int(self.text.positional_embedding.shape[1])

    def require_blocks(self, count: int, *, model: str) -> None:
        """Refuse to cut before more blocks than there are: DataError."""
        if count > len(self.blocks):
            raise DataError(
                f"the text tower of {model} has {len(self.blocks)} blocks, and {count} are asked for; expected "
                f"{len(self.blocks)} at the most (--blocks)"
            )

    @torch.no_grad()
    def enter(self, tokens: Tensor, *, blocks: int) -> TextStates:
        """Return what enters the last `blocks` blocks for the tokens (N, L) of sentences.

        A causal tower does not look past the end of a sentence, so places past the last end are left out.
        """
        ends = self._ends(tokens)
        if self.text.attn_mask is not None:
            tokens = tokens[:, : int(ends.max()) + 1]
        positions = self.text.positional_embedding[: tokens.shape[1]]
        first = self.blocks[:-blocks]
        parts = [self.run(first, self.text.token_embedding(part) + positions) for part in tokens.split(AT_ONCE)]
        return TextStates(torch.cat(parts), ends)

    def run(self, blocks: tuple[nn.Module, ...], x: Tensor) -> Tensor:
        """Return what some blocks make of states, of the same shape."""
        mask = self.text.attn_mask
        mask = None if mask is None else mask[: x.shape[1], : x.shape[1]]
        for block in blocks:
            x = block(x, attn_mask=mask)
        return x

    def finish(self, states: Tensor) -> Tensor:
        """Return the embeddings (N, D), un-normalised, of the states (N, W) that are read of the last block."""
        normed: Tensor = self.text.ln_final(states)
        projection = self.text.text_projection
        if projection is None:
            return normed
        joint: Tensor = projection(normed) if isinstance(projection, nn.Linear) else normed @ projection
        return joint

    def _parameters(self) -> Iterator[nn.Parameter]:
        yield from self.text.ln_final.parameters()
        projection = self.text.text_projection
        if isinstance(projection, nn.Linear):
            yield from projection.parameters()
        elif projection is not None:
            yield projection

    def _ends(self, tokens: Tensor) -> Tensor:
        pool = _pool(self.text)
        if pool == "argmax":
            return tokens.argmax(-1)  # the end is the last word of CLIP's vocabulary
        if pool == "eos":
            end: int = getattr(self.text, "eos_id", None) or self.text.text_eos_id
            return (tokens == end).int().argmax(-1)
        place = 0 if pool == "first" else tokens.shape[1] - 1
        return torch.full((len(tokens),), place, device=tokens.device)


def read_text_trunk(network: Any, *, model: str) -> TextTrunk:
    """Return the blocks of the text tower of an open_clip network. DataError if it cannot be cut between them."""
    text = getattr(network, "text", network)  # CustomTextCLIP keeps its tower apart, CLIP is its own
    if not all(hasattr(text, part) for part in PARTS):
        raise no_text_trunk(model, why=f"is a {type(text).__name__}, which is not built like CLIP's")
    if getattr(text, "cls_emb", None) is not None or getattr(text, "use_pad_mask", False):
        raise no_text_trunk(model, why="hides the padding or reads a token of its own")
    if _pool(text) not in POOLS:
        raise no_text_trunk(model, why=f"pools its tokens by {_pool(text)!r}")
    return TextTrunk(text)


def no_text_trunk(model: str, *, why: str) -> DataError:
    """Return the error of a model whose text tower cannot be adapted."""
    return DataError(
        f"{model}: its text tower {why}; expected a tower like CLIP's, such as that of ViT-B-32, or no text adapter"
    )


def _pool(text: Any) -> str:
    return str(getattr(text, "pool_type", None) or text.text_pool_type)
