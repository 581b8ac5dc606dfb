"""Readers of runs, and of what is written about them."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from framebank.heads.evaluation.ledger import append_result, read_results
from framebank.heads.exchange.published import read_checkpoint
from framebank.heads.fewshot.build import build_matcher
from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.fewshot.run import FewshotRun
from framebank.heads.predictions import Predictions
from framebank.heads.training.build import build_model
from framebank.heads.training.kept_choice import KeptChoice, read_choice
from framebank.heads.training.loop import Epoch
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.resume import Keeping, TrainingState
from framebank.heads.training.run import Run
from framebank.tests.fuzz.readers.reader import Reader, of_file, text_file
from framebank.tests.worlds.average import average_of_runs
from framebank.tests.worlds.found import FOUND
from framebank.tests.worlds.heads import CLASSES, SPEC, prompts_of, texts_of

ABOUT = {"recipe": {"head": "lstm", "lr": 0.01}, "videos": "ab" * 16, "texts": None}
RECIPE = (
    'head = "transformer"\nclassifier = "text"\nloss = "kl"\nepochs = 12\nlr = 5e-5\n\n[head_options]\nnum_layers = 3\n'
)


def _run(head: str, classifier: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        recipe = Recipe(head=head, classifier=classifier, loss="ce")
        texts = texts_of(prompts_of())
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = build_model(recipe, dim=SPEC.dim, num_classes=len(CLASSES), texts=texts).eval()
        facts = {"texts": "names", "templates": ["{}"], "videos": 12, "split": "train"}
        Run(recipe, SPEC, CLASSES, model, "/some/store", facts).write(folder, log=[])

    return make


def _average(folder: Path) -> None:
    average_of_runs().write(folder, log=[])


def _state() -> TrainingState[Epoch]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.Linear(8, 4)
        optimizer = torch.optim.AdamW(module.parameters())
        module(torch.randn(3, 8)).sum().backward()
        optimizer.step()
    log = [Epoch(1, 0.5, 0.001, 0.75, 1.5), Epoch(2, 0.25, 0.0005, 0.875, 1.25)]
    return TrainingState({"model": module}, optimizer, torch.Generator(), Epoch, log, dict(module.state_dict()))


def _resume(folder: Path) -> None:
    Keeping(folder, seconds=0.0, about=lambda: ABOUT).keep(_state())


def _read_resume(folder: Path) -> object:
    keeping, state = Keeping(folder, resumes=True, about=lambda: ABOUT), _state()
    keeping.load(state)
    return keeping.found() and state.tensors()


def _resume_auto(folder: Path) -> None:
    keeping = KeptChoice.of(FOUND).keeping(folder, 0, seconds=0.0, resumes=False)
    assert keeping
    keeping.keep(_state())


def _read_resume_auto(folder: Path) -> object:
    return read_choice(folder, FOUND.recipe, keys=("shots", "seed"), num_classes=3)


def _predictions(folder: Path) -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(3), size=12)
    targets, groups = np.arange(12) % 3, np.arange(12) // 2
    names = tuple(f"v{n}" for n in range(12))
    Predictions(names, scores, targets, ("run", "walk", "sit"), groups).write(folder / "predictions.npz")


def _results(folder: Path) -> None:
    for number in range(6):
        protocol = {"name": "ucf101", "hash": "0123456789ab"}
        said = {"encoder": "ViT-B-16", "recipe": "ridge", "run": f"run{number}", "time": f"2026-11-2{number}T10:00:00"}
        figures = {"top1": 80.25 + number, "top5": 95.5, "top1_interval": [79.5, 81.25 + number], "deviation": 0.5}
        counts = {"videos_evaluated": 3783, "videos_listed": 3783}
        append_result(folder / "results.jsonl", {"protocol": protocol, **said, **figures, **counts})


def _read_results(folder: Path) -> object:
    """Lines may be lost, doubled or put in another order with their file; none is another than was written."""
    with tempfile.TemporaryDirectory(dir=folder) as written:
        _results(Path(written))
        known = read_results(Path(written, "results.jsonl"))
    return [line for line in read_results(folder / "results.jsonl") if line not in known]


def _fewshot_run(folder: Path) -> None:
    recipe = FewshotRecipe(matcher="trx")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        matcher = build_matcher(recipe, dim=SPEC.dim, num_classes=len(CLASSES))
    FewshotRun(recipe, SPEC, CLASSES, matcher, "/some/store", {"videos": 12}).write(folder, log=[])


def _published(folder: Path) -> None:
    clip = {f"module.visual.layer{n}.weight": torch.randn(4, 3) for n in range(3)}
    fusion = {"module.fusion.weight": torch.randn(4, 4)}
    torch.save({"epoch": 3, "model_state_dict": clip, "fusion_model_state_dict": fusion}, folder / "actionclip.pt")


RUNS: dict[str, Reader] = {
    "state of a training": Reader(_resume, "resume.safetensors", _read_resume, has_digest=True),
    "state of a training, auto": Reader(_resume_auto, "resume.safetensors", _read_resume_auto, has_digest=True),
    "predictions": Reader(
        _predictions, "predictions.npz", lambda f: Predictions.read(f / "predictions.npz"), has_digest=True
    ),
    "results": Reader(_results, "results.jsonl", _read_results, has_digest=True),
    "run of a transformer": Reader(_run("transformer", "text"), "checkpoint.safetensors", Run.read, has_digest=True),
    "run of a linear probe": Reader(_run("mean", "linear"), "checkpoint.safetensors", Run.read, has_digest=True),
    "run of an attentive probe": Reader(_run("attentive", "linear"), "checkpoint.safetensors", Run.read, True),
    "run of an average": Reader(_average, "checkpoint.safetensors", Run.read, has_digest=True),
    "few-shot run": Reader(_fewshot_run, "matcher.safetensors", FewshotRun.read, has_digest=True),
    "recipe": Reader(text_file("recipe.toml", RECIPE), "recipe.toml", of_file("recipe.toml", Recipe.read)),
    "published checkpoint": Reader(_published, "actionclip.pt", of_file("actionclip.pt", read_checkpoint)),
}
