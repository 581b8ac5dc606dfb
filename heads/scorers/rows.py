"""Rows: the single texts of the classes, as scorers read them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.class_texts import ClassTexts

SAME = 1 - 1e-5  # two texts with this cosine are the same: a text that is embedded twice differs by rounding


def class_matrix(texts: ClassTexts) -> Tensor:
    """Return one unit embedding for each class, the mean over its templates: (C, D)."""
    return F.normalize(texts.matrix.mean(0), dim=-1)


def row_mask(texts: ClassTexts) -> Tensor:
    """Return which rows of `texts.rows` hold a text: (C, R), true if one does."""
    return torch.arange(texts.rows.shape[1], device=texts.counts.device) < texts.counts.unsqueeze(1)


def distinct_rows(texts: ClassTexts) -> tuple[Tensor, Tensor]:
    """Return every text once (M, D), and which classes have it, (C, M), 1 or 0."""
    mask = row_mask(texts)
    owners, rows = mask.nonzero()[:, 0], texts.rows[mask]  # (N,), (N, D)
    # Equal texts are represented by the first of them.
    first = torch.cat([(part @ rows.T > SAME).to(torch.uint8).argmax(1) for part in rows.split(1024)])
    while not torch.equal(first[first], first):
        first = first[first]
    kept, place = first.unique(return_inverse=True)
    members = rows.new_zeros(len(texts), len(kept))
    members[owners, place] = 1
    return rows[kept], members
