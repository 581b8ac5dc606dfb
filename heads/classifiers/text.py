"""TextClassifier: the cosine to the class embeddings, times the logit scale."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_LOGIT_SCALE = 100.0  # CLIP's own bound


class TextClassifier(nn.Module):
    """CLIP's zero-shot classifier (Radford et al. 2021, arXiv 2103.00020), whose classes are their texts.

    `embeddings` is (C, D), or (P, C, D) with one matrix for each of P templates: then the probabilities of the
    templates are averaged (ActionCLIP's test, arXiv 2109.08472), and the logits are the logarithm of that. The class
    embeddings stay as they are; the logit scale is learned.
    """

    embeddings: Tensor

    def __init__(self, embeddings: Tensor, *, logit_scale: float = 100.0) -> None:
        super().__init__()
        if embeddings.ndim not in (2, 3):
            raise ValueError(f"class embeddings are (C, D) or (P, C, D), got {tuple(embeddings.shape)}")
        stacked = embeddings if embeddings.ndim == 3 else embeddings.unsqueeze(0)  # (P, C, D)
        self.register_buffer("embeddings", F.normalize(stacked.float(), dim=-1))
        self.log_scale = nn.Parameter(torch.tensor(math.log(logit_scale)))

    @property
    def logit_scale(self) -> Tensor:
        """What a cosine is multiplied with."""
        return self.log_scale.exp()

    @torch.no_grad()
    def bound_scale(self) -> None:
        """Bring the scale back to CLIP's 100 where a step of training took it above.

        A clamp in the forward pass would have no gradient there, and CLIP's own scale is there to begin with.
        """
        self.log_scale.clamp_(max=math.log(MAX_LOGIT_SCALE))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C)."""
        unit = F.normalize(embeddings, dim=-1)
        logits = self.logit_scale * torch.einsum("bd,pcd->pbc", unit, self.embeddings)  # (P, B, C)
        if len(logits) == 1:
            return logits[0]
        return logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))  # (B, C)
