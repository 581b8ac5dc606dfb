"""Auto: a training that finds the head, the classifier and the number of steps that suit a data set."""

import math
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.heads.progress import Tell, tell_nobody
from framebank.library.searching.near_copies import warn_of_test_copies
from framebank.library.stores import require_val_split
from framebank.library.trained_run import TrainedRun
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    from framebank.heads.training.auto import TriedCandidate
    from framebank.heads.training.loop import Epoch
    from framebank.heads.training.run import Run
    from framebank.store import FeatureStore, LabelSet, Manifest, PromptBank

# These keys of a recipe say which data to train on. Any other key says how to train, and then `auto` has no choice
# left.
FREE = ("shots", "seed", "frames", "views", "frame_norm")
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def is_auto(given: Collection[str]) -> bool:
    """Return whether a training finds its head by itself: no recipe is given, and only keys of FREE are.

    >>> is_auto(["shots"]), is_auto(["head", "shots"])
    (True, False)
    """
    return set(given) <= set(FREE)


def read_budget(text: str | float) -> float:
    """Return a budget in seconds, such as "90s", "5m" or 300. DataError if it is anything else.

    >>> read_budget("5m")
    300.0
    """
    number = str(text).strip().rstrip("smh")
    unit = str(text).strip()[len(number) :]
    try:
        seconds = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise DataError(f"the budget is {text!r}; expected a time above 0, such as 90s, 5m or 1h")
    return seconds


def train_auto(
    store: "FeatureStore",
    manifest: "Manifest",
    folder: Path,
    *,
    split: str,
    keys: Mapping[str, Any],
    budget: str | float | None,
    val_split: str | None,
    labels: "LabelSet | Sequence[str] | str | Path | None",
    prompts: "PromptBank | str | Path | None",
    templates: "str | Sequence[str] | None",
    texts: str | None,
    overwrite: bool,
    device: str,
    resume: bool = False,
    save_every: float | None = None,
    told: "Callable[[TriedCandidate, int, int], None] | None" = None,
    watch: Watch = unwatched,
    tell: Tell = tell_nobody,
) -> TrainedRun:
    """Try several candidates on the videos of `manifest`, train the best one on all of them, and keep it in `folder`.

    If the average of several is better, all of these are trained, and the run averages their probabilities.
    The `keys` of a recipe are among FREE. After each candidate, `told` is called with that candidate, the number tried
    so far and the total. `tell` is called after each step of the training that follows.
    That training keeps its state, and what was found, in `folder` every `save_every` seconds (60). With `resume` it
    goes on from there, and nothing is tried again. DataError if the folder cannot hold a run, if there are fewer than
    two classes, or if the state is that of another training.
    """
    import torch

    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.class_texts import ClassTexts
    from framebank.heads.confidence.shared_sources import shared_sources_note
    from framebank.heads.training.auto import BUDGET, find_recipe, require_classes
    from framebank.heads.training.averaged_run import averaged_run
    from framebank.heads.training.folder import taking
    from framebank.heads.training.job import TrainingJob
    from framebank.heads.training.judging import CandidateGround
    from framebank.heads.training.kept_choice import KeptChoice, read_choice
    from framebank.heads.training.recipe import SCORINGS, Recipe
    from framebank.heads.training.resume import SECONDS
    from framebank.library.texts import label_set
    from framebank.store.videos.groups import groups_of, tell_sources

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise DataError("torchrun trains a head that is named; give a head (--head) or a recipe (--recipe)")
    started = time.perf_counter()
    seconds = BUDGET if budget is None else read_budget(budget)
    place = resolve_device(device)
    split = store.manifest.split_named(split)
    base = Recipe(head="mean", classifier="linear", loss="ce", val_fraction=0.0, **keys)

    def job_of(recipe: Recipe, bank: "PromptBank | None", labels: "LabelSet | None") -> TrainingJob:
        return TrainingJob(store, manifest, recipe, val_split=val_split, labels=labels, prompts=bank, device=place)

    require_val_split(store, val_split)
    with taking(folder, what="run", overwrite=overwrite):
        manifest.labelled().require_single_labels()
        named = label_set(labels) if labels else None
        bank, note = _prompts_of(
            store, manifest, named, prompts, templates=templates, texts=texts, device=device, watch=watch
        )
        scout = job_of(base, bank, named)
        require_classes(scout.train)
        for line in scout.notes:
            warn(line)
        warn_of_test_copies(store, scout.train.video_ids, split=split)
        val, known = scout.val, scout.labels
        state = read_choice(folder, base, keys=FREE, num_classes=len(known)) if resume else None
        if state is None:
            videos = store.manifest.of_ids(scout.train.video_ids)
            groups = groups_of(videos)
            ground = CandidateGround.of(
                scout.train,
                val=val,
                groups=torch.from_numpy(groups),
                tells_sources=tell_sources(videos, groups),
                prompts_of={way: ClassTexts.of(bank, scoring=way) for way in SCORINGS} if bank else {},
                frame_norm=base.frame_norm,
                device=place,
                val_groups=torch.from_numpy(groups_of(store.manifest.of_ids(val.video_ids))) if val else None,
            )
            found = find_recipe(ground, scout.recipe, budget=seconds, told=told or (lambda *one: None))
            state = KeptChoice.of(found)
            del ground
        found, every = state.found, SECONDS if save_every is None else save_every
        shared = shared_sources_note(val, scout.train, store.manifest) if found.members else ""
        del scout
        about: dict[str, Any] = {"auto": found.to_dict(), "split": split}
        about["auto"]["texts_help"] = about["auto"]["texts_help"] or note
        runs: list[Run] = []
        log: list[Epoch] = []
        for number, own in enumerate([member.recipe for member in found.members] or [found.recipe]):
            reads = own.reads_texts
            recipe = own if reads else replace(own, texts=base.texts, templates=base.templates)
            job = job_of(recipe, bank if reads else None, known if found.members else named)
            keeping = state.keeping(folder, number, seconds=every, resumes=resume)
            done = state.take(number, job.model, folder=folder)
            epochs = job.epochs(tell=tell, keeping=keeping) if done is None else done
            own_log = list(watch(epochs, total=job.num_epochs, unit="epoch"))
            state.finish(number, job.model, own_log)
            runs.append(job.trained(own_log, about=about))
            del job  # its bank goes before that of the next member is read
            log += [replace(epoch, number=len(log) + epoch.number) for epoch in own_log]  # one log for all members
        members = found.members
        run = (
            averaged_run(runs, members, val=val, sources=lambda: shared, device=place, about=about)
            if members
            else runs[0]
        )
        if found.scaling and not run.model.scaling:
            run.model.scaling = found.scaling
            run = replace(run, trained_on={**run.trained_on, "confidence": found.scaling.to_dict()})
        run.write(folder, log=log)
    took = round(time.perf_counter() - started, 2)
    return TrainedRun(folder.absolute(), run, device, folder, took, log[-1].loss if log and not run.members else None)


def _prompts_of(
    store: "FeatureStore",
    manifest: "Manifest",
    labels: Any,
    prompts: Any,
    *,
    templates: "str | Sequence[str] | None",
    texts: str | None,
    device: str,
    watch: Watch,
) -> "tuple[PromptBank | None, str]":
    """Return the texts of the classes. If nobody asked and there is no text tower, return none and the reason."""
    from framebank.library.texts import prompt_banks

    options = {"labels": labels, "prompts": prompts, "templates": templates, "texts": texts}
    try:
        return prompt_banks(store, manifest, device=device, watch=watch, **options)[0], ""
    except DataError as error:
        if prompts or templates or texts or not isinstance(error.__cause__, DataError):
            raise
        return None, "no way that reads texts was tried: the encoder of the store has no text tower here"
