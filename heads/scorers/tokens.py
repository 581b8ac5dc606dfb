"""Tokens: the outputs of the text tower at each token of a sentence, for scorers."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.text_tower import ClipTextTower
from framebank.store.errors import DataError

PART = 128  # sentences


@torch.no_grad()
def encode_words(tower: ClipTextTower, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return the tower's outputs at the tokens of sentences, unit, (C, W, D), and which of them are tokens, (C, W).

    The start (the same for every sentence), the end (which stands for the whole sentence) and the padding are left out.
    Zeros follow the tokens of a sentence. DataError if a sentence has no tokens.
    """
    tokens, lengths = tower.embed(sentences)
    longest = int(lengths.max())
    outputs = torch.cat([tower.encode_tokens(part) for part in tokens[:, :longest].split(PART)])  # (C, L, D)
    words = F.normalize(outputs[:, 1 : longest - 1].float(), dim=-1)  # (C, W, D)
    spoken = torch.arange(longest - 2, device=words.device) < (lengths - 2).to(words.device).unsqueeze(1)  # (C, W)
    if not bool(spoken.any(1).all()):
        silent = sentences[int((~spoken.any(1)).int().argmax())]
        raise DataError(f"the text {silent!r} has no token between start and end; expected words")
    return words * spoken.unsqueeze(-1), spoken
