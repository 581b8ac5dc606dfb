"""TipAdapterF: Tip-Adapter whose keys are trained."""

from typing import final

from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ClassifierTraits, Fitted, ServesTexts
from framebank.heads.classifiers.tip_adapter import TipAdapter


@final
class TipAdapterF(nn.Module, Fitted, ServesTexts):
    """Tip-Adapter-F (Zhang et al. 2021, arXiv 2111.03930): the cached keys are the start of what is trained.

    The keys (N, D) are learned, the class embeddings and the keys' classes stay, and the keys are not held to be unit,
    as published. alpha and beta are searched on the validation videos before the training, and then stay; the paper
    trains with those given and searches after it. The epoch is chosen on the validation videos, where the published
    code takes the one that is best on the test images. The grid is that of Tip-Adapter without `wide`: keys learn less
    from the high beta that a wide grid chooses (88.2 % and not 91.7 % on 33 classes of UCF101 with 16 videos each).
    """

    traits = ClassifierTraits(reads_texts=True, chooses=True)

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts,
        *,
        alpha: float = 3.0,
        beta: float = 1.0,
        search: bool = True,
        wide: bool = False,
        unit_views: bool = False,
    ) -> None:
        super().__init__()
        self.cache = TipAdapter(
            *(dim, num_classes, texts),
            alpha=alpha,
            beta=beta,
            search=search,
            wide=wide,
            learn_keys=True,
            unit_views=unit_views,
        )

    def fit(
        self, pooled: Tensor, target: Tensor, *, val: tuple[Tensor, Tensor] | None, groups: Tensor | None = None
    ) -> None:
        """Cache pooled (V, G, D) of target (V,), and search alpha and beta as `TipAdapter.fit` does."""
        self.cache.fit(pooled, target, val=val, groups=groups)

    def set_texts(self, texts: ClassTexts) -> None:
        """Score the same classes by other texts. ValueError for another number of classes."""
        self.cache.set_texts(texts)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C)."""
        logits: Tensor = self.cache(embeddings)
        return logits
