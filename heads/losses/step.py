"""Step: one batch of a training, and the values that losses need, each computed once and only if a loss needs it."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.masking import masked_mean
from framebank.heads.scorers.scorer import reads_of
from framebank.heads.shares import class_shares
from framebank.heads.texts.text import EmbedsSentences
from framebank.store.errors import DataError

if TYPE_CHECKING:  # a circle otherwise: the model is built from recipes, which know the losses, which read steps
    from framebank.heads.model import Model


class Step:
    """Stored frames x (B, T, D), mask (B, T), labels (B,): the class of each video.

    If a video has several classes, or is mixed from several videos, labels is (B, C), the share of each class in it.
    Cross-entropy takes either form. Losses draw from `generator`, on the CPU. `frequency` (C,) is the share of the
    training videos, without mixing, that have each class. If `log_prior` (C,) is given, it is added to the logits in
    training, so that rare classes are not undervalued. If `pool` is given, it does the same as Model.pool, with the
    help of other processes.
    """

    def __init__(
        self,
        model: "Model",
        x: Tensor,
        mask: Tensor,
        labels: Tensor,
        *,
        texts: ClassTexts | None,
        generator: torch.Generator,
        frequency: Tensor,
        log_prior: Tensor | None = None,
        pool: "Callable[[Model, Tensor, Tensor], Tensor] | None" = None,
    ) -> None:
        self.model = model
        self.x = x
        self.mask = mask
        self.labels = labels
        self.frequency = frequency
        self._texts = texts
        self.generator = generator
        self._log_prior = log_prior
        self._pool = pool

    @property
    def texts(self) -> ClassTexts:
        """The texts of the classes. ValueError if the training has none."""
        if self._texts is None:
            raise ValueError("this loss needs the texts of the classes")
        return self._texts

    @cached_property
    def target(self) -> Tensor:
        """The class of each video (B,). If it has several, the one with the largest share."""
        return self.labels if self.labels.ndim == 1 else self.labels.argmax(1)

    @cached_property
    def shares(self) -> Tensor:
        """The share of each class in each video, (B, C): one-hot if it has one class."""
        return class_shares(self.labels, len(self.frequency))

    @cached_property
    def frames(self) -> Tensor:
        """What the head sees, (B, T, D)."""
        return self.model.frames(self.x)

    @cached_property
    def pooled(self) -> Tensor:
        """The output of the head, (B, D)."""
        return (self._pool or type(self.model).pool)(self.model, self.frames, self.mask)

    @cached_property
    def mean(self) -> Tensor:
        """The plain mean of the frames, (B, D): the embedding of the frozen encoder.

        DataError if a frame has several layers, which have no mean in the space of the head.
        """
        if self.frames.ndim != 3:
            raise DataError(
                f"this loss holds the head to the mean of the frames, and a frame is {tuple(self.frames.shape[2:])} in "
                "the recipe's stream; expected one of single embeddings, such as 'frame'"
            )
        return masked_mean(self.frames, self.mask)

    @cached_property
    def logits(self) -> Tensor:
        """The scores of all classes, (B, C)."""
        return self._scores if self._log_prior is None else self._scores + self._log_prior

    @cached_property
    def _scores(self) -> Tensor:
        pooled = self.pooled if self.model.reads_pooled else None
        return self.model.score(self.frames, self.mask, pooled)

    @cached_property
    def paired(self) -> Tensor:
        """Each video against a random text of the class of every video of the batch: (B, B), scaled.

        A scorer that reads all texts of a class at once scores the class of every video.
        """
        scorer = self.model.classifier
        if reads_of(scorer).all_texts:
            return self._scores[:, self.target]
        if not isinstance(scorer, TextClassifier):
            raise DataError(
                "this loss pairs videos with single texts, which only the classifiers text and vcs do: use ce"
            )
        text = F.normalize(self._drawn(scorer), dim=-1)
        return scorer.logit_scale * F.normalize(self.pooled, dim=-1) @ text.T

    def _drawn(self, scorer: TextClassifier) -> Tensor:
        """Return a random text of the class of each video, (B, D), as the classifier has it."""
        if isinstance(scorer.text, EmbedsSentences):
            return scorer.text.sentences(self.target, self.texts.draw_places(self.target, generator=self.generator))
        return scorer.text(self.texts.draw(self.target, generator=self.generator), self.target)
