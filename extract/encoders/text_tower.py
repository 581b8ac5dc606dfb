"""TextTower: the frozen text tower of an open_clip network, open at the token embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from framebank.extract.encoders.tokens import TextReader, Tokenizer
from framebank.store.errors import DataError

PARTS = ("token_embedding", "positional_embedding", "transformer", "ln_final", "text_projection")


class TextTower:
    """The steps of `encode_text` after the token embeddings, in float32 and with gradients; the weights stay frozen.

    It works for causal towers like CLIP's, whose embedding is read at the end of the sentence. DataError that names the
    model if its tower is different: from the package transformers, without a causal mask (SigLIP), or with a special
    token to read (CoCa).
    """

    def __init__(self, network: Any, tokenizer: Tokenizer, *, model: str) -> None:
        text = getattr(network, "text", network)  # CustomTextCLIP keeps its tower apart, CLIP is its own
        _require_causal(text, model=model)
        self._text = text
        self._reader = TextReader(tokenizer, model=model)
        block = text.transformer.resblocks[0]
        self.num_positions, self.width = (int(size) for size in text.positional_embedding.shape)
        self.num_heads = int(block.attn.num_heads)
        self.quick_gelu = type(block.mlp[1]).__name__ == "QuickGELU"

    def __deepcopy__(self, memo: dict[int, Any]) -> "TextTower":
        """Return the same tower: frozen, it is shared by the copies of a model."""
        return self

    def measure(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, start and end included, however few of them the tower reads."""
        return [self._reader.measure(text) for text in texts]

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the token embeddings of sentences (N, L, W), and how many are their own, start and end included (N,).

        A sentence that is longer than the tower reads is cut, with a DataWarning, and fills all its places.
        """
        self._reader.warn_of_cut(texts)
        tokens = self._reader.read(texts).to(self._text.positional_embedding.device)  # (N, L)
        return self._text.token_embedding(tokens), self._find_ends(tokens) + 1

    def encode(self, embeddings: Tensor, ends: Tensor) -> Tensor:
        """Encode token embeddings (N, L, W), ends (N,) the places of the end tokens -> (N, D), un-normalised."""
        x = self._read(embeddings)
        return self._project(x[torch.arange(len(x), device=x.device), ends.to(x.device)])

    def encode_tokens(self, embeddings: Tensor) -> Tensor:
        """Encode each token of sentences given as token embeddings (N, L, W) -> (N, L, D), un-normalised.

        The value at the end token is what `encode` gives for the sentence.
        """
        return self._project(self._read(embeddings))

    def blocks(self) -> list[Mapping[str, Tensor]]:
        """Return the states of its residual attention blocks, first to last."""
        return [block.state_dict() for block in self._text.transformer.resblocks]

    def _read(self, embeddings: Tensor) -> Tensor:
        """Return the last states of the tower, normed, (N, L, W)."""
        text, length = self._text, embeddings.shape[1]
        x = embeddings.to(text.positional_embedding) + text.positional_embedding[:length]
        states: Tensor = text.ln_final(text.transformer(x, attn_mask=text.attn_mask[:length, :length]))
        return states

    def _project(self, states: Tensor) -> Tensor:
        """Bring states (..., W) into the joint space, (..., D)."""
        projection = self._text.text_projection
        if projection is None:
            return states
        joint: Tensor = projection(states) if isinstance(projection, nn.Linear) else states @ projection
        return joint

    def _find_ends(self, tokens: Tensor) -> Tensor:
        if _pooling(self._text) == "argmax":
            return tokens.argmax(-1)  # the end is the last word of CLIP's vocabulary
        end: int = getattr(self._text, "eos_id", None) or self._text.text_eos_id
        return (tokens == end).int().argmax(-1)


def _pooling(text: Any) -> str:
    return str(getattr(text, "pool_type", None) or text.text_pool_type)


def _require_causal(text: Any, *, model: str) -> None:
    kind = type(text).__name__
    if not all(hasattr(text, part) for part in PARTS):
        reason = f"is a {kind}, which is not built like CLIP's"
    elif getattr(text, "attn_mask", None) is None:
        reason = "reads a sentence both ways, without a causal mask"
    elif getattr(text, "cls_emb", None) is not None:
        reason = "reads a special token and not the end of a sentence"
    elif _pooling(text) not in ("argmax", "eos"):
        reason = f"reads its {_pooling(text)!r} token and not the end of a sentence"
    else:
        return
    raise DataError(f"{model}: its text tower {reason}; expected a tower like CLIP's, such as that of ViT-B-32")
