"""MA-CLIP: prototypes guided by text, in front of any other matcher."""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.attention import ContextBlock
from framebank.heads.matchers.bi_mhm import BiMhm
from framebank.heads.matchers.chamfer import Chamfer
from framebank.heads.matchers.chamfer_plus import ChamferPlus
from framebank.heads.matchers.diagonal import Diagonal
from framebank.heads.matchers.linear import Linear
from framebank.heads.matchers.matcher import MatcherTraits
from framebank.heads.matchers.max import Max
from framebank.heads.matchers.mean import Mean
from framebank.heads.matchers.otam import Otam
from framebank.heads.matchers.sequences import packed, sinusoid_like
from framebank.heads.matchers.trx import Trx
from framebank.heads.matchers.tuple import Tuple

METRICS: dict[str, Callable[[int], nn.Module]] = {
    "otam": Otam,
    "bi-mhm": functools.partial(BiMhm, eps=0.01),
    "chamfer": Chamfer,
    "chamfer++": ChamferPlus,
    "diagonal": Diagonal,
    "linear": Linear,
    "max": Max,
    "mean": Mean,
    "tuple": Tuple,
    "trx": Trx,
}


class MaClip(nn.Module):
    """Text-guided prototype construction, of MA-CLIP (Xing et al. 2023, arXiv 2308.01532), before a `metric`.

    Its abstract says that attention lets video and text enhance the prototypes and that any temporal metric may follow;
    the rest is our reading. Frames get positions of a tenth of the transformer's, which is a tenth of the length of a
    unit frame. In one shared block, the frames of every video read each other, and those of a support video also read
    the text of its class, as one more key and value. Unit frames and text enter. The metric then sees K videos of each
    class, each with its text. Frozen embeddings do not allow the adapters inside the encoder.
    """

    traits = MatcherTraits(reads_text=True, has_weights=True)

    def __init__(self, dim: int, *, metric: str = "otam", num_heads: int = 8, dropout: float = 0.1) -> None:
        super().__init__()
        if metric not in METRICS:
            raise ValueError(f"the metric {metric!r} is not known; expected one of {', '.join(METRICS)}")
        self.block = ContextBlock(dim, num_heads=num_heads, dropout=dropout, mlp_dropout=dropout)
        self.metric = METRICS[metric](dim)

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) with text (E, N, D) -> (E, Q, N)."""
        if text is None:
            raise ValueError("ma-clip needs the texts of the classes")
        queries, query_mask = self._placed(query, query_mask)
        supports, support_mask = self._placed(support, support_mask)
        tokens = F.normalize(text.to(supports.dtype), dim=-1)[:, :, None, None].expand(*supports.shape[:3], 1, -1)
        context = torch.cat([supports, tokens], dim=3)  # (E, N, K, S + 1, D)
        queries = self.block(queries, queries, query_mask)
        supports = self.block(supports, context, F.pad(support_mask, (0, 1), value=True))
        scores: Tensor = self.metric(queries, supports, None, query_mask, support_mask)
        return scores

    def _placed(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        x, mask = packed(F.normalize(x.to(self.block.norm.weight.dtype), dim=-1), mask)
        return x + 0.1 * (2 / x.shape[-1]) ** 0.5 * sinusoid_like(x), mask
