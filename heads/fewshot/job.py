"""FewshotJob: from a store and a recipe to a trained matcher."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from framebank.heads.bank import load_bank, require_finite
from framebank.heads.fewshot.build import build_matcher
from framebank.heads.fewshot.episodes import EpisodeSampler
from framebank.heads.fewshot.loop import Stage, fit_episodes
from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.fewshot.run import FewshotRun
from framebank.heads.fewshot.tasks import EpisodeBatches, class_texts
from framebank.heads.matchers import READS_TEXT
from framebank.heads.progress import Tell, tell_nobody
from framebank.heads.training.chance import warn_of_matcher
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.prompts import PromptBank
from framebank.store.videos.groups import groups_of, undivided_note
from framebank.store.videos.labels import LabelSet, class_text
from framebank.store.videos.manifest import Manifest


class FewshotJob:
    """One training by episodes: its banks in memory, its episodes drawn, its matcher built. Call `stages`, then `save`.

    `train` holds the videos of the classes to train on. `val` holds those of the classes that choose the step; without
    them, the last step is kept. They should be other classes: `trained_on` counts the classes that are in both. The
    validation episodes are those of the recipe, with fewer classes if there are fewer. DataError if episodes cannot be
    drawn, or if a matcher that reads texts has none.
    """

    def __init__(
        self,
        store: FeatureStore,
        train: Manifest,
        recipe: FewshotRecipe,
        *,
        val: Manifest | None = None,
        prompts: PromptBank | None = None,
        device: torch.device,
    ) -> None:
        if recipe.matcher in READS_TEXT and not prompts:
            raise DataError(f"the matcher {recipe.matcher!r} needs the texts of the classes, and there are none")
        self.store, self.recipe, self.prompts, self.device = store, recipe, prompts, device
        self.notes: list[str] = []
        self.val: EpisodeBatches | None = None
        self.train = self._tasks(train, recipe.steps * recipe.episodes, at_once=recipe.episodes, training=True)
        if val and val.videos:
            self.val = self._tasks(val, recipe.val_episodes, at_once=recipe.episodes, training=False)
        self.labels = self.train.episodes.labels
        self.matcher = build_matcher(recipe, dim=store.spec.dim, num_classes=len(self.labels))

    def stages(self, *, tell: Tell = tell_nobody) -> Iterator[Stage]:
        """Train and yield each stage. `tell` is called after each step. A DataWarning says if nothing was learned."""
        recipe, accuracy, loss = self.recipe, math.nan, 0.0
        tasks, val = iter(self.train), self.val or ()
        for stage in fit_episodes(self.matcher, recipe, tasks, val=val, device=self.device, tell=tell):
            accuracy, loss = stage.val_accuracy, stage.match_loss
            yield stage
        warn_of_matcher(recipe.matcher, loss=loss, way=recipe.way, accuracy=accuracy)

    def save(self, folder: Path, *, log: Sequence[Stage]) -> FewshotRun:
        """Write the run into `folder` and return it."""
        accuracies = [stage.val_accuracy for stage in log if not math.isnan(stage.val_accuracy)]
        val_labels = self.val.episodes.labels if self.val else ()
        own = {class_text(name) for name in self.labels}
        trained_on = {
            "train_videos": len(self.train.bank),
            "train_classes": len(self.labels),
            "train_episodes_hash": self.train.episodes.hash,
            "val_videos": len(self.val.bank) if self.val else 0,
            "val_classes": len(val_labels),
            "val_classes_also_trained": sum(class_text(name) in own for name in val_labels),
            "val_way": self.val.episodes.classes.shape[1] if self.val else 0,
            "val_episodes_hash": self.val.episodes.hash if self.val else None,
            "val_accuracy": max(accuracies, default=None),
            "texts": self.prompts.kind if self.prompts else None,
            "templates": list(self.prompts.templates) if self.prompts else None,
        }
        where = str(self.store.path.absolute())
        run = FewshotRun(self.recipe, self.store.spec, self.labels, self.matcher, where, trained_on)
        run.write(folder, log=log)
        return run

    def _tasks(self, manifest: Manifest, episodes: int, *, at_once: int, training: bool) -> EpisodeBatches:
        recipe = self.recipe
        labels = LabelSet.of(manifest.labelled().labels)
        bank = load_bank(self.store, manifest.labelled(), labels, device=self.device, num_frames=recipe.frames)
        require_finite(bank, where=self.store.path)
        names = [labels.names[target] for target in bank.target.tolist()]
        way = recipe.way if training else min(recipe.way, len(set(names)))
        sampler = EpisodeSampler(way, recipe.shot, recipe.query, episodes, recipe.seed)
        try:
            if way < 2:
                raise DataError(f"all are of one class, {names[0]!r}; expected two or more classes")
            drawn = sampler.draw(bank.video_ids, names, groups_of(manifest.of_ids(bank.video_ids)))
        except DataError as error:
            kind = "training" if training else "validation"
            raise DataError(f"{self.store.path}, the {kind} videos: {error}") from error
        kind = "training" if training else "validation"
        note = undivided_note(drawn.undivided, so=f"{kind} queries share a source with their support")
        self.notes += [note] if note else []
        texts = class_texts(self.prompts, drawn.labels, device=self.device)
        return EpisodeBatches(bank, drawn, at_once, self.device, texts, seed=recipe.seed if training else None)
