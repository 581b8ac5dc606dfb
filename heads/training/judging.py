"""Judging: score a recipe on videos that it was not trained on, from folds or from a validation split."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from framebank import heads
from framebank.heads.bank import Bank
from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers import Fitted
from framebank.heads.classifiers.classifier import ChoosesOptions
from framebank.heads.classifiers.folds import held_parts
from framebank.heads.confidence.shared_sources import mean_rows, near_share, note_of_share
from framebank.heads.model import Model
from framebank.heads.predictions import predict_logits
from framebank.heads.temporal.mean import Mean
from framebank.heads.training.build import build_model
from framebank.heads.training.fold_stack import fit_folds, stack_epochs
from framebank.heads.training.loop import fit
from framebank.heads.training.pooled import OneFrame, pooled_bank
from framebank.heads.training.pooled_stack import shared_steps
from framebank.heads.training.recipe import Recipe
from framebank.store.errors import DataError
from framebank.store.videos.groups import are_grouped


@dataclass(frozen=True)
class FoldPlaces:
    """The places of the training videos, (N,), and of the videos that judge, (J,); None means the validation videos."""

    train: Tensor
    judge: Tensor | None


@dataclass(frozen=True)
class CandidateGround:
    """The data for candidates: the frames of all videos, and their mean, pooled once for every candidate.

    `groups` (V,) are the numbers of the videos' sources, and `val_groups` those of the validation videos. Without them,
    each of these is a source of its own. `tells_sources` says that all sources are known. `prompts_of` has the texts of
    each scoring, or is empty.
    """

    frames: Bank
    pooled: Bank
    val: Bank | None
    pooled_val: Bank | None
    groups: Tensor
    prompts_of: dict[str, ClassTexts]
    dim: int
    device: torch.device
    val_groups: Tensor | None = None
    tells_sources: bool = False

    @classmethod
    def of(
        cls,
        train: Bank,
        *,
        val: Bank | None,
        groups: Tensor,
        prompts_of: dict[str, ClassTexts],
        frame_norm: bool,
        device: torch.device,
        val_groups: Tensor | None = None,
        tells_sources: bool = False,
    ) -> "CandidateGround":
        """Pool the banks of a training, (V*G, T, D), by the mean of the frames."""
        dim = train.x.shape[-1]
        mean = Model(Mean(dim), torch.nn.Identity(), frame_norm=frame_norm).eval()
        pooled_val = pooled_bank(mean, val, device=device) if val else None
        pooled = pooled_bank(mean, train, device=device)
        return cls(train, pooled, val, pooled_val, groups, prompts_of, dim, device, val_groups, tells_sources)

    def parts(self) -> list[FoldPlaces]:
        """Return one part if there are validation videos, otherwise the folds; nothing if no video can judge."""
        every = torch.arange(len(self.frames))
        if self.val:
            return [FoldPlaces(every, None)]
        held = held_parts(self.frames.target.cpu(), self.groups)
        return [FoldPlaces(every[~own], every[own]) for own in held]

    def targets(self, parts: Sequence[FoldPlaces]) -> Tensor:
        """Return the classes of the videos that judge in these parts, in order: (J,)."""
        found = []
        for part in parts:
            of = self.frames if part.judge is not None else self.val
            assert of is not None
            found.append(of.target.cpu() if part.judge is None else of.target.cpu()[part.judge])
        return torch.cat(found) if found else torch.zeros(0, dtype=torch.long)

    def judge_groups(self, parts: Sequence[FoldPlaces]) -> Tensor:
        """Return the numbers of the sources of the videos that judge in these parts, in order: (J,)."""
        if parts[0].judge is None:
            assert self.val is not None
            return torch.arange(len(self.val)) if self.val_groups is None else self.val_groups
        return torch.cat([self.groups[part.judge] for part in parts if part.judge is not None])

    def shared_sources_note(self, parts: Sequence[FoldPlaces], videos: int) -> str:
        """Return one sentence if the first so many videos that judge look of one source with others; "" if not.

        If names or the column group tell sources, no fold divides one.
        """
        if self.tells_sources or are_grouped(self.groups.numpy()):
            return ""
        rows, target = mean_rows(self.pooled), self.pooled.target.cpu()
        folds = [(part.judge, part.train) for part in parts if part.judge is not None]
        near, judged = 0.0, 0
        for own, other in folds:
            if judged < videos:
                near += len(own) * near_share(rows[own], target[own], rows[other], target[other])
                judged += len(own)
        share = near / max(1, judged)
        return note_of_share(share, judged, of="training videos that judged", others="others")

    def rounds(self, recipe: Recipe, parts: Sequence[FoldPlaces]) -> list[Sequence[FoldPlaces]]:
        """Return the parts on which a recipe trains at once: all of them if they share their steps, or one by one."""
        return [parts] if shared_steps(recipe) else [[part] for part in parts]

    def score(self, recipe: Recipe, parts: Sequence[FoldPlaces]) -> Tensor:
        """Train a recipe on each part and return the logits of the videos that judge, (J, C)."""
        scored = []
        for model, part in zip(self._trained(recipe, parts), parts, strict=True):
            val = self.pooled_val if recipe.head == "mean" else self.val
            held = val if part.judge is None else select(self._bank(recipe), part.judge)
            assert held is not None
            scored.append(predict_logits(model.eval(), held, device=self.device))
        return torch.cat(scored)

    def settled(self, recipe: Recipe) -> Recipe:
        """Return the recipe with what its classifier chooses, such as the penalty of ridge, chosen on all videos."""
        if recipe.epochs or not heads.CLASSIFIERS_AND_SCORERS[recipe.classifier].traits.chooses:
            return recipe
        classifier = self._fitted(recipe, self.pooled, self.groups).classifier
        assert isinstance(classifier, ChoosesOptions)
        return replace(recipe, classifier_options={**recipe.classifier_options, **classifier.chosen_options})

    def can_fit(self, recipe: Recipe) -> bool:
        """Return whether a recipe without epochs can be fitted to all videos."""
        try:
            self._fitted(recipe, self.pooled, self.groups)
        except DataError:  # for example, no class has several different videos
            return False
        return True

    def seconds_of_a_step(self, recipe: Recipe) -> float:
        """Return the seconds of one step of a recipe, without the first step."""
        bank = self._bank(recipe)
        few = select(bank, torch.arange(min(len(bank), 3 * recipe.batch_size)))
        model = self._fitted(recipe, few, self.groups[: len(few)])
        epochs = self._epochs(model, replace(recipe, epochs=2), few)
        next(epochs)
        started = time.perf_counter()
        next(epochs)
        return (time.perf_counter() - started) / math.ceil(len(few) / recipe.batch_size)

    def _trained(self, recipe: Recipe, parts: Sequence[FoldPlaces]) -> Iterator[Model]:
        """Yield the model that a recipe trains on each part."""
        if shared_steps(recipe):
            banks = [select(self.pooled, part.train) for part in parts]
            model = self._fitted(recipe, banks[0], self.groups)
            for weights in fit_folds(model, recipe, banks, device=self.device):
                model.load_state_dict(weights)
                yield model
            return
        for part in parts:
            bank = select(self._bank(recipe), part.train)
            model = self._fitted(recipe, bank, self.groups[part.train])
            for _ in self._epochs(model, recipe, bank):
                pass
            yield model

    def _epochs(self, model: Model, recipe: Recipe, bank: Bank) -> Iterator[Any]:
        """Yield after each epoch in which a model learns from a bank."""
        if shared_steps(recipe):
            return stack_epochs(model, recipe, [bank], device=self.device)
        return fit(model, recipe, bank, val=None, texts=self._texts(recipe), device=self.device)

    def _bank(self, recipe: Recipe) -> Bank:
        return self.pooled if recipe.head == "mean" else self.frames

    def _texts(self, recipe: Recipe) -> ClassTexts | None:
        return self.prompts_of[recipe.scoring] if recipe.reads_texts else None

    def _fitted(self, recipe: Recipe, train: Bank, groups: Tensor) -> Model:
        """Build and fit what trains on a bank. A bank of means needs the classifier only."""
        model = build_model(recipe, dim=self.dim, num_classes=train.num_classes, texts=self._texts(recipe))
        if recipe.head == "mean":
            model = Model(OneFrame(), model.classifier, frame_norm=False)
        model.to(self.device)
        if isinstance(model.classifier, Fitted):
            rows = train.x.flatten(0, 1).unflatten(0, (len(train), train.num_groups)).float().cpu()  # (V, G, D)
            val: Any = None
            if self.pooled_val:
                held = self.pooled_val
                val = (held.x.flatten(0, 1).unflatten(0, (len(held), held.num_groups)).cpu(), held.target.cpu())
            model.classifier.fit(rows, train.target.cpu(), val=val, groups=groups)
        return model


def select(bank: Bank, places: Tensor) -> Bank:
    """Return the videos of a bank at some places (N,), in that order, with all their views and clips."""
    rows = (places[:, None] * bank.num_groups + torch.arange(bank.num_groups)).flatten().to(bank.device)
    return replace(
        bank,
        video_ids=tuple(bank.video_ids[place] for place in places.tolist()),
        x=bank.x[rows],
        mask=bank.mask[rows],
        target=bank.target[places.to(bank.device)],
        num_listed=len(places),
    )
