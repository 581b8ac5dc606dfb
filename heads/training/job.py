"""TrainingJob: from a store and a recipe to a run."""

import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framebank.heads.bank import Bank, load_bank, require_finite
from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import Fitted, fitted_with
from framebank.heads.confidence.shared_sources import shared_sources_note
from framebank.heads.predictions import pool_bank
from framebank.heads.progress import Tell, tell_nobody
from framebank.heads.text_tower import TowerLoader, fill_blocks, options_of_blocks, options_of_model
from framebank.heads.texts.text import LearnedText
from framebank.heads.training.batches import num_examples
from framebank.heads.training.build import build_model
from framebank.heads.training.chance import warn_of_chance
from framebank.heads.training.class_notes import class_notes, require_videos
from framebank.heads.training.distributed import Ranks
from framebank.heads.training.drawn_videos import draw_videos, has_val
from framebank.heads.training.forms import EARLIER
from framebank.heads.training.head_mix import HeadMix, choose_head_mix
from framebank.heads.training.lexicon import Lexicon
from framebank.heads.training.loop import Epoch, chosen_epoch, fit
from framebank.heads.training.objective import require_read, require_shares
from framebank.heads.training.places import with_places
from framebank.heads.training.precision import computed_precision
from framebank.heads.training.probes import Probe, fit_probes, require_alone
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.resume import Keeping, digest_of
from framebank.heads.training.run import Run
from framebank.heads.training.scaled import scaling_facts
from framebank.heads.training.seen import marks_of
from framebank.heads.training.steps_choice import ADAMW, EITHER, StepsChoice
from framebank.store.digest import digest
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.prompts import PromptBank
from framebank.store.videos.groups import groups_of
from framebank.store.videos.labels import LabelSet, class_text
from framebank.store.videos.manifest import Manifest


class TrainingJob:
    """One training: its videos drawn, its bank in memory, its model built. Call `epochs`, then `save`.

    `manifest` holds the training videos; with `recipe.shots`, that many of each class are drawn. The epoch is chosen on
    `val_split`, on the split "val" if there is one, or on a part of the training videos. That part is held out only if
    the recipe chooses something on it, or if `chooses_head_mix` says that head_mix will be chosen. With shots and no
    validation videos, the last epoch is kept. The classes come from the prompts, `labels`, or the labels that occur.
    `tower` loads the text tower, a `lexicon` is for a recipe that reads one, `live` embeds what a stream keeps, and
    `live_texts` the texts of the classes.
    """

    def __init__(
        self,
        store: FeatureStore,
        manifest: Manifest,
        recipe: Recipe,
        *,
        val_split: str | None = None,
        labels: LabelSet | None = None,
        prompts: PromptBank | None = None,
        tower: TowerLoader | None = None,
        lexicon: Lexicon | None = None,
        chooses_head_mix: bool = False,
        live: torch.nn.Module | None = None,
        live_texts: LearnedText | None = None,
        device: torch.device,
    ) -> None:
        if prompts:
            recipe = replace(recipe, texts=prompts.kind, templates=prompts.templates)
        if recipe.reads_tower and tower is None:
            raise DataError(
                f"{store.path}: {recipe.asks_tower} needs the text tower of the encoder, which was not handed in"
            )
        if recipe.epochs:
            require_read(recipe.loss, label_smoothing=recipe.label_smoothing, logit_adjustment=recipe.logit_adjustment)
            require_shares(recipe.loss, mixup=recipe.mixup)
        if recipe.form != EARLIER:
            options = options_of_model(recipe.head, recipe.head_options, model=store.spec.model)
            recipe = replace(recipe, head_options=options)
        precision, told = computed_precision(recipe.precision, device, head=recipe.head, epochs=recipe.epochs)
        recipe = with_places(replace(recipe, precision=precision), store.spec.streams)
        self.store = store
        self.recipe = recipe
        self.prompts = prompts
        self.lexicon = lexicon
        self.device = device
        several = recipe.is_multi_label
        choosing = recipe.chooses or chooses_head_mix
        train, val, self.notes = draw_videos(store, manifest, recipe, val_split=val_split, choosing=choosing)
        self.labels = prompts.labels if prompts else labels or LabelSet.of(train.labels)
        self.labels.require_covers(train.labels, mine="the set of classes", theirs=store.path)
        require_videos(self.labels, train)
        # With jitter, training draws among all frames. Every measurement uses the centres.
        frames = 0 if recipe.jitter else recipe.frames
        load = functools.partial(load_bank, store, stream=recipe.stream, multi_label=several, device=device)
        self.train = load(train, self.labels, num_frames=frames)
        self.val: Bank | None = None
        if val:
            self.labels.require_covers(val.labels, mine="the set of classes", theirs="the validation videos")
            self.val = load(val, self.labels, num_frames=recipe.frames)
        for bank in (self.train, self.val):
            if bank:
                require_finite(bank, where=store.path)
        judges = self.val if has_val(store, recipe, val_split) else None
        self.notes += (*class_notes(self.train, judges, self.labels), *told)
        shape = tuple(self.train.x.shape[2:])
        self.in_shape = () if live or shape == (store.spec.dim,) else shape
        if prompts and len(self.in_shape) == 1:
            raise DataError(
                f"{store.path}: the stream {recipe.stream!r} is {self.in_shape[0]} wide and the texts are "
                f"{store.spec.dim}; expected a classifier that reads no texts, such as linear"
            )
        self.texts = ClassTexts.of(prompts, scoring=recipe.scoring) if prompts else None
        dim, count = store.spec.dim, len(self.labels)
        text_tower = tower() if tower and recipe.reads_tower else None
        if text_tower and recipe.init:
            width = self.in_shape[-1] if self.in_shape else dim
            options = options_of_blocks(recipe.head_options, text_tower, dim=width)
            recipe = self.recipe = replace(recipe, head_options=options)
        self.model = build_model(
            recipe,
            dim=dim,
            num_classes=count,
            texts=self.texts,
            in_shape=self.in_shape,
            tower=text_tower,
            names=[class_text(name) for name in self.labels.names],
            lexicon=lexicon.embeddings if lexicon else None,
            live=live,
            live_texts=live_texts,
        )
        if text_tower and recipe.init:
            fill_blocks(self.model.head, text_tower)
        self.chosen: HeadMix | None = None
        self.probes: tuple[Probe, ...] = ()
        self.steps: StepsChoice | None = None
        self._fitted_on = self.train
        if isinstance(self.model.classifier, Fitted):
            if recipe.jitter:  # the model is fitted to the centres and used with them
                self._fitted_on = load(train, self.labels, num_frames=recipe.frames)
            self._fit_classifier()
        self._require_something_to_learn()

    def _fit_classifier(self) -> None:
        """Fit a classifier that learns without steps on the training videos. It then needs no epoch."""
        pooled = pool_bank(self.model, self._fitted_on, device=self.device)
        val = (pool_bank(self.model, self.val, device=self.device), self.val.target.cpu()) if self.val else None
        groups = torch.from_numpy(groups_of(self.store.manifest.of_ids(self._fitted_on.video_ids)))
        if isinstance(self.model.classifier, Fitted):
            self.model.classifier.fit(pooled, self._fitted_on.target.cpu(), val=val, groups=groups)

    def _require_something_to_learn(self) -> None:
        if self.recipe.epochs and not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise DataError(
                f"{self.recipe.head} + {self.recipe.classifier} has nothing to learn; expected another head or "
                "classifier, or epochs = 0"
            )

    @property
    def num_epochs(self) -> int:
        """The number of passes that `epochs` makes over the training videos."""
        return self.recipe.epochs_of(num_examples(self.train, self.recipe))

    @property
    def val_groups(self) -> np.ndarray | None:
        """The numbers of the sources of the validation videos, (V,), if there are any."""
        return groups_of(self.store.manifest.of_ids(self.val.video_ids)) if self.val else None

    def epochs(
        self, ranks: Ranks | None = None, *, tell: Tell = tell_nobody, keeping: Keeping | None = None
    ) -> Iterator[Epoch]:
        """Train and yield each epoch, in one process or in several ranks. `tell` is called after each step.

        With `keeping`, the state of the training is kept in its folder, and taken from there if it resumes. A
        DataWarning says so if nothing was learned.
        """
        model, recipe, val, device = self.model, self.recipe, self.val, self.device
        keeping = keeping and replace(keeping, about=functools.cache(functools.partial(self._about, keeping.about)))
        if recipe.probes:
            require_alone(recipe, ranks, keeping)
            self.probes = yield from fit_probes(model, recipe, self.train, val=val, device=device, tell=tell)
            self.steps = StepsChoice(ADAMW, "probes make no others") if recipe.steps == EITHER else None
        else:
            more: dict[str, Any] = {"texts": self.texts, "ranks": ranks, "tell": tell, "keeping": keeping}
            groups = self.val_groups if recipe.steps == EITHER else None
            self.steps = yield from fit(model, recipe, self.train, val=val, val_groups=groups, device=device, **more)
        if recipe.epochs and (ranks is None or ranks.is_first):
            what = f"{recipe.head} + {recipe.classifier}"
            warn_of_chance(model, self._fitted_on, what=what, lr=recipe.lr, device=self.device)

    def _about(self, more: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return what must be equal if a training is to go on from the state of another, as plain values."""
        texts = {"texts": self.texts.matrix.cpu().numpy()} if self.texts else {}
        phrases = {"lexicon": self.lexicon.embeddings.cpu().numpy()} if self.lexicon else {}
        return {
            **more(),
            "recipe": json.loads(json.dumps(self.recipe.to_dict())),
            "set of classes": list(self.labels.names),
            "set of training videos": digest_of(self.train),
            "set of validation videos": digest_of(self.val) if self.val else "",
            "set of texts": digest({**texts, **phrases}),
        }

    def require_head_mix_choice(self) -> None:
        """Raise DataError if `choose_head_mix` cannot serve this job."""
        if self.val is None:
            raise DataError(
                f"{self.store.path}: there are no validation videos to choose head_mix on; expected a number, or some "
                "by --val-split or --val-fraction, which --shots leaves without"
            )
        if len(self.in_shape) > 1:
            raise DataError(
                f"{self.store.path}: a frame of the stream {self.recipe.stream!r} is several layers, whose mean cannot "
                "be mixed with what the head gives; expected head_mix 0"
            )

    def choose_head_mix(self) -> HeadMix:
        """Choose `recipe.head_mix` on the validation videos. Call it after the last epoch.

        A classifier that learns without steps is fitted again for each share. If the head was trained in epochs, its
        classifier stays as it was in training, as every other classifier does.
        """
        if self.val is None:
            raise ValueError("there are no validation videos to choose head_mix on")
        fits = isinstance(self.model.classifier, Fitted) and not self.recipe.epochs
        refit = self._fit_classifier if fits else None
        self.chosen = choose_head_mix(self.model, self.val, device=self.device, refit=refit)
        self.recipe = replace(self.recipe, head_mix=self.chosen.share)
        return self.chosen

    def save(self, folder: Path, *, log: Sequence[Epoch], about: Mapping[str, Any] | None = None) -> Run:
        """Write the run into `folder` and return it. `about` holds further facts about its training."""
        run = self.trained(log, about=about)
        run.write(folder, log=self.kept_log(log))
        return run

    def kept_log(self, log: Sequence[Epoch]) -> Sequence[Epoch]:
        """Return the epochs of the steps that were kept, of the log that `epochs` gave, which is that of AdamW."""
        kept = self.steps.log if self.steps else ()
        pairs = zip(log, kept, strict=True) if kept else ()
        return [replace(epoch, loss=row[0], val_score=row[1], val_loss=row[2]) for epoch, row in pairs] or log

    def trained(self, log: Sequence[Epoch], *, about: Mapping[str, Any] | None = None) -> Run:
        """Return the run after the epochs of `log`, without writing it."""
        sources = functools.partial(shared_sources_note, self.val, self.train, self.store.manifest)
        kept = chosen_epoch(self.kept_log(log))
        best = self.chosen.score if self.chosen else kept.val_score if kept else math.nan
        trained_on = {
            "train_videos": len(self.train),
            "val_videos": len(self.val) if self.val else 0,
            "val_score": None if math.isnan(best) else best,
            "epoch": kept.number if kept else len(log),
            "epochs": len(log),
            "classes": len(self.labels),
            "texts": self.prompts.kind if self.prompts else None,
            "templates": list(self.prompts.templates) if self.prompts else None,
            **({"lexicon": self.lexicon.about()} if self.lexicon else {}),
            **fitted_with(self.model.classifier),
            **({"probes": [asdict(probe) for probe in self.probes]} if self.probes else {}),
            **({"steps": self.steps.to_dict()} if self.steps else {}),
            **(about or {}),
            **scaling_facts(self.model, self.val, sources=sources, device=self.device),
        }
        where, seen = str(self.store.path.absolute()), marks_of(self.train.video_ids)
        return Run(self.recipe, self.store.spec, self.labels.names, self.model, where, trained_on, self.in_shape, seen)
