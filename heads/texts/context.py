"""Context: learned words around the name of each class, which the frozen text tower reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from framebank.heads.text_tower import ClipTextTower
from framebank.heads.texts.text import ReadsTower, TextTraits
from framebank.store.counts import counted
from framebank.store.errors import DataError


@final
class Context(nn.Module, ReadsTower):
    """CoOp (Zhou et al. 2022, arXiv 2109.01134): learned vectors before the class name, 16 by default, through CLIP.

    They are shared by all classes, or each class has its own (`class_specific`), and start as noise of `std`; they may
    start as `words` instead, such as "a photo of", and are then as many. A full stop ends the name, unless not `stop`.

    With `num_suffix` there are as many more between the name and the end: 16 and 16 is A5's 16+X+16 (Ju et al. 2022,
    arXiv 2112.04478). Its vectors are rows of one table, each for one place of the sentence (`by_position`), so that
    the suffix of a longer name takes later rows; its names have no stop and its noise is 0.01.

    The texts handed in are not read: a class is its name, in its context. Each step encodes the classes it scores once,
    `chunk_size` at a time; with `recompute` a chunk's activations are not kept but computed again for the gradient.
    The class embeddings are kept whenever training stops to evaluate, so that a run scores without the tower.
    """

    traits = TextTraits(reads_tower=True)
    kept: Tensor

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        num_prefix: int = 16,
        num_suffix: int = 0,
        words: str = "",
        std: float = 0.02,
        stop: bool = True,
        class_specific: bool = False,
        by_position: bool = False,
        chunk_size: int = 128,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        if min(num_prefix, num_suffix) < 0 or not (words or num_prefix + num_suffix):
            raise DataError(
                f"text = 'context' has {num_prefix} vectors before the name and {num_suffix} after; expected 1 or more"
            )
        if chunk_size < 1:
            raise DataError(f"text = 'context' encodes {chunk_size} classes at a time; expected 1 or more")
        if by_position and (class_specific or words):
            raise DataError(
                "text = 'context' by position has vectors that all classes share and that start as noise; expected "
                "text.by_position without text.class_specific and text.words"
            )
        self.num_prefix, self.num_suffix, self.words, self.std = num_prefix, num_suffix, words, std
        self.stop, self.by_position = stop, by_position
        self.class_specific, self.chunk_size, self.recompute = class_specific, chunk_size, recompute
        self.vectors = nn.Parameter(torch.empty(0))  # they have the tower's width, so `meet` draws them
        self.register_buffer("kept", torch.zeros(num_classes, dim))
        self._sentences: _Sentences | None = None
        self._serves_others = False

    def meet(self, tower: ClipTextTower, names: Sequence[str]) -> None:
        """Draw the context of the classes with these names for this tower. DataError if a name does not fit into it."""
        start = torch.zeros(0, tower.width)
        if self.words:
            _require_room(tower, self.words, tower.measure([self.words])[0], extra=self.num_suffix)
            tokens, lengths = tower.embed([self.words])
            start = tokens[0, 1 : int(lengths[0]) - 1].cpu()  # (K, W), without start and end
            self.num_prefix = len(start)
        shape = (tower.num_positions if self.by_position else self.num_prefix + self.num_suffix, tower.width)
        vectors = self.std * torch.randn((len(names), *shape) if self.class_specific else shape)
        vectors[..., : len(start), :] = start
        self.vectors = nn.Parameter(vectors)
        self._sentences = self._read(tower, names, num_prefix=self.num_prefix)

    def serve(self, tower: ClipTextTower, names: Sequence[str]) -> None:
        """Put other classes into the learned context. DataError if each class has its own, or a name does not fit."""
        if self.class_specific:
            raise DataError(
                f"a context was learned for each of {counted(len(self.kept), 'class', 'classes')}; others have none"
            )
        num_prefix = self.num_prefix if self.by_position else len(self.vectors) - self.num_suffix
        self._sentences = self._read(tower, names, num_prefix=num_prefix)
        self.kept = self.kept.new_zeros(len(names), self.kept.shape[1])
        self._serves_others = True
        self.eval()

    def _read(self, tower: ClipTextTower, names: Sequence[str], *, num_prefix: int) -> "_Sentences":
        said = [f"{name}." for name in names] if self.stop else names
        return _Sentences.of(
            tower, said, num_prefix=num_prefix, num_suffix=self.num_suffix, by_position=self.by_position
        )

    def require_classes(self, num_classes: int) -> None:
        """Raise ValueError unless these classes were given to `serve`. The tower's embeddings of its own are kept."""
        if not self._serves_others or num_classes != len(self.kept):
            raise ValueError(
                f"the context was learned for {counted(len(self.kept), 'class', 'classes')} through the text "
                "tower, which the run lacks; "
                "other classes or texts need the tower, as `framebank zeroshot --run` has it"
            )

    def train(self, mode: bool = True) -> "Context":
        """Switch between training and evaluation. Before evaluation, keep the class embeddings."""
        super().train(mode)
        if not mode and self._sentences:
            with torch.no_grad():
                self.kept.copy_(self._encode(torch.arange(len(self.kept), device=self.kept.device)))
        return self

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """Return embeddings (..., D) of classes (...). The given texts (..., D) are not read."""
        if not self.training or not self._sentences:
            return self.kept[classes].expand_as(embeddings)
        asked, places = classes.unique(return_inverse=True)
        return self._encode(asked)[places].expand_as(embeddings)

    def _encode(self, classes: Tensor) -> Tensor:
        return torch.cat([self._encode_chunk(chunk) for chunk in classes.split(self.chunk_size)])  # (N, D)

    def _encode_chunk(self, classes: Tensor) -> Tensor:
        vectors = self.vectors[classes] if self.class_specific else self.vectors.expand(len(classes), -1, -1)
        if self._sentences is None:
            raise ValueError("the context has met no text tower")
        encode = self._sentences.encode
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(encode, vectors, classes, use_reentrant=False)
        return encode(vectors, classes)


@dataclass(frozen=True)
class _Sentences:
    """Start, prefix, name, suffix and end of each class, without the K vectors of prefix and suffix.

    tokens (C, L, W)       start, name and end
    places (C, L + K)      where each part of a sentence is among these L and the vectors after them
    ends   (C,)            the places of the ends; what follows is not read, as attention only looks back
    """

    tower: ClipTextTower
    tokens: Tensor
    places: Tensor
    ends: Tensor

    @classmethod
    def of(
        cls, tower: ClipTextTower, names: Sequence[str], *, num_prefix: int, num_suffix: int, by_position: bool = False
    ) -> "_Sentences":
        extra = num_prefix + num_suffix
        counts = tower.measure(names)
        _require_room(tower, names[counts.index(max(counts))], max(counts), extra=extra)
        tokens, lengths = tower.embed(names)
        tokens, lengths = tokens[:, : int(lengths.max())], lengths.cpu()  # (C, L, W)
        places = [
            _places(length, room=tokens.shape[1], num_prefix=num_prefix, num_suffix=num_suffix, by_position=by_position)
            for length in lengths.tolist()
        ]
        return cls(tower, tokens, torch.stack(places), lengths - 1 + extra)

    def encode(self, vectors: Tensor, classes: Tensor) -> Tensor:
        """Encode classes (N,) in their contexts (N, K, W), or by position (N, P, W) -> (N, D)."""
        tokens = self.tokens[classes.to(self.tokens.device)].to(vectors.device)  # (N, L, W)
        parts = torch.cat([tokens, vectors], dim=1)  # (N, L + K, W), or (N, L + P, W)
        places = self.places[classes.cpu()].to(vectors.device)[..., None].expand(-1, -1, parts.shape[-1])
        return self.tower.encode(parts.gather(1, places), self.ends[classes.cpu()]).to(vectors.device)


def _require_room(tower: ClipTextTower, words: str, num_tokens: int, *, extra: int) -> None:
    if num_tokens + extra > tower.num_positions:
        raise DataError(
            f"text = 'context': {words!r} is {num_tokens} tokens with start and end, and {extra} more of the context "
            f"stand around it, but the text tower reads {tower.num_positions}; expected a shorter name, or fewer by "
            "text.num_prefix and text.num_suffix"
        )


def _places(length: int, *, room: int, num_prefix: int, num_suffix: int, by_position: bool) -> Tensor:
    vectors = torch.arange(room, room + num_prefix + num_suffix)
    if by_position:  # the row of a vector is its place in the sentence: after the start, or after the name
        vectors[:num_prefix] += 1
        vectors[num_prefix:] += length - 1
    words = torch.arange(1, length - 1)
    rest = torch.arange(length - 1, room)  # the end, and padding
    return torch.cat([torch.tensor([0]), vectors[:num_prefix], words, vectors[num_prefix:], rest])
