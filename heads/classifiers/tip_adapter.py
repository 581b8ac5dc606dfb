"""TipAdapter: zero-shot together with a cache of the training videos."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ChoosesOptions, ClassifierTraits, Fitted, ServesTexts
from framebank.heads.classifiers.folds import fold_numbers
from framebank.heads.classifiers.targets import require_single_labels
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.ranking import best_class
from framebank.heads.texts.text import KeepsClasses
from framebank.store.counts import counted

# The grid of the paper for UCF101, a tenth as fine.
ALPHAS = tuple(0.15 * number for number in range(21))  # 0 to 3; 0 is zero-shot
BETAS = tuple(0.35 * number for number in range(1, 21))  # 0.35 to 7
# One as wide as the widest of the paper's eleven sets.
WIDE_ALPHAS = (0.0, *(0.15 * (50 / 0.15) ** (number / 19) for number in range(20)))  # 0, and 0.15 to 50
WIDE_BETAS = tuple(0.35 * (50 / 0.35) ** (number / 15) for number in range(16))  # 0.35 to 50
LEAST = 0.05  # alphas and betas below it count as equally near
PART = 1024  # videos that are compared with the cache at a time
MOST_JUDGED = 1024  # training videos that choose alpha and beta


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return how many times larger or smaller two pairs of alpha and beta are, as a length of logarithms."""
    return math.hypot(*(math.log(max(a, LEAST) / max(b, LEAST)) for a, b in zip(one, other, strict=True)))


@final
class TipAdapter(nn.Module, Fitted, ChoosesOptions, ServesTexts, KeepsClasses):
    """Tip-Adapter (Zhang et al. 2021, arXiv 2111.03930): 100 f W + alpha * exp(-beta (1 - f K)) V.

    W are the class embeddings, scaled as in zero-shot, and f is the unit embedding of the video. The keys K (N, D) are
    the training videos: each is the mean of its views and clips, made unit, as published (with `unit_views`, each of
    them is made unit before the mean). Their values V are their classes. `alpha` and `beta` are searched over a grid by
    top-1 on the validation videos, never on test videos, as the published script for UCF101 does (the script for
    ImageNet searches on the test images). With alpha 0 it is zero-shot. Of the pairs that are not surely worse than the
    best one (by more than the standard error of the difference), the pair nearest to 3 and 1 is taken, the first values
    of the published code for UCF101.
    Without validation videos, folds of the training videos judge (`fold_numbers`): each fold is scored by the keys of
    the others. So no training video is held out, and all of them are keys. With one video a class, or
    without `search`, alpha and beta are as given, or 3 and 1. The grid is as wide as the widest of the paper's eleven
    data sets, up to 50. Without `wide` it is that of UCF101, up to 3 and 7, only validation videos choose, and the best
    pair is taken, of equals the least alpha, as published.

    The paper's keys are the mean of ten random crops of each image; here they are the mean of the stored views. The
    cache is bound to its classes. With `learn_keys` it is Tip-Adapter-F: see there.
    """

    traits = ClassifierTraits(reads_texts=True, chooses=True, needs_no_val="wide")
    owners: Tensor
    alpha: Tensor
    beta: Tensor

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts,
        *,
        alpha: float = 3.0,
        beta: float = 1.0,
        search: bool = True,
        wide: bool = True,
        learn_keys: bool = False,
        unit_views: bool = False,
    ) -> None:
        super().__init__()
        self.search = search
        self.wide = wide
        self.unit_views = unit_views
        self.zero_shot = TextClassifier(dim, num_classes, texts, learn_scale=False)
        self.keys = nn.Parameter(torch.zeros(0, dim), requires_grad=learn_keys)
        self.register_buffer("owners", torch.zeros(0, dtype=torch.long))  # (N,), the class of each key
        self.register_buffer("alpha", torch.tensor(alpha))
        self.register_buffer("beta", torch.tensor(beta))

    @torch.no_grad()
    def fit(
        self, pooled: Tensor, target: Tensor, *, val: tuple[Tensor, Tensor] | None, groups: Tensor | None = None
    ) -> None:
        """Cache pooled (V, G, D) of target (V,), and search alpha and beta.

        The validation videos judge them, or folds of the training videos that divide no source of `groups` (V,).
        DataError if videos have several labels.
        """
        require_single_labels(target, name="tip-adapter")
        device = self.owners.device
        views = F.normalize(pooled.float(), dim=-1) if self.unit_views else pooled.float()  # (N, G, D)
        keys = F.normalize(views.mean(1), dim=-1).to(device)  # (N, D)
        self.keys = nn.Parameter(keys, requires_grad=self.keys.requires_grad)
        self.owners = target.to(device)
        if val and self.search:
            self._search(val[0].to(device), val[1].to(device))
        elif self.search and self.wide:
            fold = fold_numbers(target.cpu(), groups)
            judged = (fold >= 0).nonzero().squeeze(1)
            if len(judged):
                judged = judged[:: math.ceil(len(judged) / MOST_JUDGED)]
                folds = (fold[judged].to(device), fold.to(device))
                self._search(pooled[judged].to(device), target[judged].to(device), folds=folds)

    @property
    def chosen_options(self) -> Mapping[str, Any]:
        """The alpha and beta in use, and that they are not to be searched."""
        return {"alpha": float(self.alpha), "beta": float(self.beta), "search": False}

    @property
    def keeps_classes(self) -> bool:
        """Whether it is bound to its classes: the cache always is."""
        return True

    def _search(self, pooled: Tensor, target: Tensor, *, folds: tuple[Tensor, Tensor] | None = None) -> None:
        """Choose alpha and beta by top-1 for pooled (V, G, D), averaging the views' probabilities.

        `folds` are the fold of each video (V,) and of each key (N,); a key of the same fold scores no video.
        """
        betas, alphas = (WIDE_BETAS, WIDE_ALPHAS) if self.wide else (BETAS, ALPHAS)
        pairs = [(alpha, beta) for beta in betas for alpha in alphas]
        right = []
        for places in torch.arange(len(target), device=target.device).split(max(1, PART // pooled.shape[1])):
            flat = pooled[places].flatten(0, 1).float()  # (B*G, D)
            zero_shot, near = self.zero_shot(flat), self._near(flat)
            scale = near.new_ones(1)
            if folds is not None:
                fold = folds[0][places].repeat_interleave(pooled.shape[1])
                near, scale = self._without_own(near, fold, folds[1])
            cached = [scale * self._sum(near, beta) for beta in betas]
            each = (self._right(zero_shot + a * one, target[places]) for one in cached for a in alphas)
            right.append(torch.stack(list(each)))  # (P, B)
        alpha, beta = self._chosen(pairs, torch.cat(right, dim=1).float())
        self.alpha.fill_(alpha)
        self.beta.fill_(beta)

    def _chosen(self, pairs: Sequence[tuple[float, float]], right: Tensor) -> tuple[float, float]:
        """Return one of the pairs of alpha and beta, of which `right` (P, V) says which videos each has right."""
        top1 = right.mean(1)
        best = max(range(len(pairs)), key=lambda place: (float(top1[place]), -pairs[place][0]))
        if not self.wide:
            return pairs[best]
        apart = right[best] - right  # (P, V)
        surely = apart.sum(1) > apart.abs().sum(1).sqrt()  # what guessing would give of so many that differ
        start = float(self.alpha), float(self.beta)
        near = [pair for pair, worse in zip(pairs, surely.tolist(), strict=True) if not worse]
        return min(near, key=lambda pair: _distance(pair, start))

    def set_texts(self, texts: ClassTexts) -> None:
        """Score the same classes by other texts. ValueError if the cache has another number of classes.

        If the number is the same, other classes cannot be told from its own, and are accepted.
        """
        if len(texts) != self.zero_shot.embeddings.shape[1]:
            raise ValueError(
                "the cache holds videos of its own "
                f"{counted(self.zero_shot.embeddings.shape[1], 'class', 'classes')} and cannot serve "
                f"{len(texts)}"
            )
        self.zero_shot.set_texts(texts)

    def _near(self, embeddings: Tensor) -> Tensor:
        """Return the cosines of embeddings (B, D) with the keys -> (B, N)."""
        return F.normalize(embeddings, dim=-1) @ self.keys.T

    def _sum(self, near: Tensor, beta: float | Tensor) -> Tensor:
        """Return the scores of the cache from the cosines with its keys, (B, N) -> (B, C)."""
        values = F.one_hot(self.owners, self.zero_shot.embeddings.shape[1]).to(self.keys)  # (N, C)
        return (-beta * (1 - near)).exp() @ values

    def _without_own(self, near: Tensor, fold: Tensor, of_keys: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cosines (B, N) so that no key of the same fold counts, and the factor (B, C) of each class.

        `fold` (B,) is that of the embeddings, `of_keys` (N,) that of the keys. A class whose keys are passed over
        counts as if it had all of them: at a low beta, their number decides.
        """
        own = fold[:, None] == of_keys  # (B, N)
        values = F.one_hot(self.owners, self.zero_shot.embeddings.shape[1]).to(near)  # (N, C)
        others = values.sum(0) - own.to(near) @ values
        return near.masked_fill(own, -torch.inf), values.sum(0) / others.clamp(min=1)

    def _right(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return which of some videos are predicted right: logits of their views (B*G, C), target (B,) -> (B,)."""
        if len(logits) > len(target):  # the softmax of one view has the order of its logits
            logits = logits.log_softmax(-1).unflatten(0, (len(target), -1)).logsumexp(1)  # (B, G, C) -> (B, C)
        return best_class(logits) == target

    def _ask(self, embeddings: Tensor) -> Tensor:
        """Return the scores of the cache for embeddings (B, D) -> (B, C)."""
        # An exported model compares all at once, because its file would keep the number of parts of the example.
        parts = (embeddings,) if torch.compiler.is_exporting() else embeddings.split(PART)
        return torch.cat([self._sum(self._near(part), self.beta) for part in parts])

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C)."""
        logits: Tensor = self.zero_shot(embeddings) + self.alpha * self._ask(embeddings)
        return logits
