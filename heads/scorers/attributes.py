"""Attributes: how well each frame fits each text of a lexicon, over time, decides the class."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ClassifierTraits
from framebank.heads.logit_scale import LogitScale
from framebank.heads.masking import masked_mean, pack
from framebank.heads.scorers.rows import class_matrix, distinct_rows
from framebank.heads.scorers.scorer import Scorer, ScorerReads
from framebank.heads.texts.text import KeepsClasses
from framebank.store.counts import counted


@final
class Attributes(nn.Module, Scorer, KeepsClasses):
    """Knowledge prompting (Shi et al. 2022, arXiv 2211.12030): the scores of text proposals are the features.

    The M texts of a lexicon are compared with the unit frames: their cosines (T, M) are standardised over the lexicon.
    A depthwise convolution over time, three frames wide, separate for each text and zero at first, is added to them.
    Then come the mean over time and a linear layer to the classes, which starts at zero. To this is added the cosine of
    the output of the head and the class embedding, times a learned scale. `share` is the share of the attributes in the
    logits, 0.3 as in BIKE's fusion (Wu et al. 2023, arXiv 2301.00182). With 1 only the attributes remain, as in
    knowledge prompting, and the head is not read.

    The paper's proposals are thousands of phrases from other sources. A `lexicon` (M, D), unit, is such a list, which
    `framebank train --lexicon` reads from a second file of prompts. Without it, the lexicon is all texts of all
    classes, each once. The learned weights belong to this lexicon and these classes: no others can be served. With a
    separate lexicon, the classes may get other texts, which only the cosine then reads.
    """

    traits = ClassifierTraits(reads_texts=True, reads_lexicon=True)
    lexicon: Tensor
    classes: Tensor

    def __init__(
        self, dim: int, num_classes: int, texts: ClassTexts, *, share: float = 0.3, lexicon: Tensor | None = None
    ) -> None:
        super().__init__()
        self.share = share
        self.has_own_lexicon = lexicon is not None
        if lexicon is None:
            lexicon, _ = distinct_rows(texts)
        self.register_buffer("lexicon", lexicon)  # (M, D)
        self.register_buffer("classes", class_matrix(texts))  # (C, D)
        self.scale = LogitScale(texts.logit_scale)
        self.taps = nn.Parameter(torch.zeros(len(lexicon), 1, 3))
        self.weight = nn.Parameter(torch.zeros(num_classes, len(lexicon)))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    @property
    def reads(self) -> ScorerReads:
        """It reads the stored frames and the output of the head."""
        return ScorerReads()

    @property
    def keeps_classes(self) -> bool:
        """True with a lexicon of its own. Without one, the class texts are the lexicon, and they are compared."""
        return self.has_own_lexicon

    def bound_scale(self) -> None:
        """Bring the scale back to CLIP's 100."""
        self.scale.bound()

    def set_texts(self, texts: ClassTexts) -> None:
        """Score the same classes by other texts if the lexicon is separate from them. ValueError for other classes."""
        if self.has_own_lexicon:
            if len(texts) != len(self.bias):
                raise ValueError(
                    f"the attributes were learned of {counted(len(self.bias), 'class', 'classes')} and can serve "
                    "no others"
                )
            self.classes = class_matrix(texts).to(self.classes.device)
            return
        lexicon, _ = distinct_rows(texts)
        if lexicon.shape != self.lexicon.shape or not torch.allclose(lexicon.to(self.lexicon), self.lexicon, atol=1e-3):
            raise ValueError(
                f"the attributes were learned of {counted(len(self.lexicon), 'text')} of "
                f"{counted(len(self.bias), 'class', 'classes')} and can serve "
                "no others"
            )

    def forward(self, frames: Tensor, mask: Tensor, pooled: Tensor) -> Tensor:
        """Score frames (B, T, D), mask (B, T), and the output of the head (B, D) -> logits (B, C)."""
        frames, mask = pack(frames, mask)
        found = F.normalize(frames, dim=-1) @ self.lexicon.T  # (B, T, M)
        # The cosines of a frame are close together. What counts is which of them are higher.
        found = F.layer_norm(found, found.shape[-1:]) * mask.unsqueeze(-1)
        moved = F.conv1d(found.transpose(1, 2), self.taps, padding=1, groups=len(self.taps)).transpose(1, 2)
        logits = F.linear(masked_mean(found + moved, mask), self.weight, self.bias)  # (B, C)
        if self.share == 1:
            return logits
        cosines: Tensor = self.scale(F.normalize(pooled, dim=-1) @ self.classes.T)
        return cosines.lerp(logits, self.share)
