"""Ten small heads on one bank, beside the one of them that takes longest: the ratio of their CPU seconds.

python benchmarks/together.py [--videos 3000] [--classes 20] [--rounds 1] [--ways compare,probes,seeds,auto,folds,texts]

The bank is made up: videos of 16 frames of 512 values, three quarters of them to train on. "compare" is
`fb.compare_recipes` with ten heads that read the mean of the frames, beside the same call with each of them alone.
"probes" are ten linear probes that differ in learning rate and weight decay, and "seeds" is one of them with ten seeds.
"mixed", which takes minutes and is made only if it is named, are ten of which two read texts and two have a temporal
head, those of `framebank train`. The texts are made up too: each is the mean row of a training video of its class.
"auto" is the search of `framebank train` among the ways that read the mean of the frames and no texts, beside the way
in it that takes longest. "folds" are the five folds by which that search judges the linear classifier, trained in one
stack, beside one of them alone. "texts" are those by which it judges a vector for each text (text-residual), beside one
of them as any other training makes it. A ratio is of one round; the least of the rounds is told.
"""

import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

FRAMES, WIDTH = 16, 512
WAYS = ("compare", "probes", "seeds", "auto", "folds", "texts")
RATES, DECAYS = (3e-4, 1e-3, 3e-3, 5e-3, 1e-2), (0.0, 0.1)


@click.command()
@click.option("--videos", default=3000)
@click.option("--classes", default=20)
@click.option("--rounds", default=1)
@click.option("--ways", default=",".join(WAYS))
def main(videos: int, classes: int, rounds: int, ways: str) -> None:
    """Measure them and print a row for each."""
    for name, found in measure(videos=videos, classes=classes, rounds=rounds, ways=ways.split(",")).items():
        told = f"{found['together']:.2f} s of CPU, the longest {found['longest']:.2f}, ratio {found['ratio']:.2f}"
        click.echo(f"{name}: {told}")


def measure(*, videos: int, classes: int, rounds: int = 1, ways: Sequence[str] = WAYS) -> dict[str, dict[str, float]]:
    """Return for each way the CPU seconds of all ten, of the one that takes longest alone, and their ratio."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        store = _write_store(Path(scratch) / "store", videos, classes)
        known: dict[str, Callable[[], tuple[float, float]]] = {
            "compare": lambda: _compared(store, _heads()),
            "probes": lambda: _compared(store, _probes()),
            "seeds": lambda: _seeds(store),
            "auto": lambda: _searched(store),
            "folds": lambda: _folds(store),
            "texts": lambda: _text_folds(store, classes),
            "mixed": lambda: _compared(store, _mixed(videos * 3 // 4), prompts=_texts(store, classes)),
        }
        _spent(store, {"knn": _heads()["knn"]})  # what the first call loads is no part of it
        found = {}
        for name in ways:
            together, longest = min((known[name]() for _ in range(rounds)), key=lambda pair: pair[0] / pair[1])
            found[name] = {"together": together, "longest": longest, "ratio": together / longest}
        return found


def _heads() -> dict[str, Any]:
    """Return ten heads that read the mean of the frames and no texts."""
    from framebank.heads.training.recipe import Recipe, read_recipe

    probe = read_recipe("linear-probe")
    plain = Recipe(head="mean", loss="ce", classifier="lda", epochs=0, val_fraction=0.0)
    return {
        "linear-probe": probe,
        "linear-fast": replace(probe, lr=3e-3),
        "linear-decay": replace(probe, weight_decay=0.1),
        "linear-both": replace(probe, lr=3e-3, weight_decay=0.1),
        "logistic": read_recipe("logistic"),
        "logistic-weak": replace(read_recipe("logistic"), classifier_options={"penalty": 0.1}),
        "ridge": read_recipe("ridge"),
        "lda": plain,
        "knn": read_recipe("knn"),
        "1-nn": replace(plain, classifier="knn", classifier_options={"k": 1}),
    }


def _probes() -> dict[str, Any]:
    from framebank.heads.training.recipe import read_recipe

    probe = read_recipe("linear-probe")
    return {f"{lr}-{decay}": replace(probe, lr=lr, weight_decay=decay) for lr in RATES for decay in DECAYS}


def _mixed(videos: int) -> dict[str, Any]:
    """Return ten heads of which two read texts and two see the order of the frames."""
    from framebank.heads.training.candidates import GENTLE_LR, residual_recipe, temporal_recipe
    from framebank.heads.training.recipe import Recipe, read_recipe

    base = Recipe(head="mean", classifier="linear", loss="ce")
    names = ("linear-probe", "linear-fast", "logistic", "ridge", "lda", "knn")
    return {
        **{name: recipe for name, recipe in _heads().items() if name in names},
        "tip-adapter": read_recipe("tip-adapter"),
        "taskres": residual_recipe(base, num_videos=videos, lr=GENTLE_LR),
        **{head: temporal_recipe(base, head, num_videos=videos) for head in ("mit", "attentive")},
    }


def _texts(store: Path, classes: int) -> Any:
    """Return a text for each class: the mean row of its first training video."""
    import framebank as fb
    from framebank.store import LabelSet, PromptBank

    opened, labels = fb.open(store), LabelSet(tuple(sorted(f"class {number}" for number in range(classes))))
    first = {video.label: video.video_id for video in reversed(opened.split("train").videos)}
    rows = np.stack([opened[first[name]].data.astype(np.float32).mean(0) for name in labels.names])
    one = np.arange(classes)
    return PromptBank(labels, labels.names, rows, 0 * one, one + 1, ("{}",), "names", opened.spec, 100.0)


def _compared(store: Path, recipes: dict[str, Any], **more: Any) -> tuple[float, float]:
    """Return the CPU seconds of all recipes in one comparison, and of the one that takes longest alone."""
    alone = {name: _spent(store, {name: recipe}, **more) for name, recipe in recipes.items()}
    return _spent(store, recipes, **more), max(alone.values())


def _seeds(store: Path) -> tuple[float, float]:
    probe = {"linear-probe": _heads()["linear-probe"]}
    one = _spent(store, probe)
    return _spent(store, probe, seeds=10), one


def _spent(store: Path, recipes: dict[str, Any], *, seeds: int = 1, prompts: Any = None) -> float:
    import framebank as fb

    with tempfile.TemporaryDirectory() as scratch:
        started = time.process_time()
        fb.compare_recipes(store, Path(scratch) / "table", recipes, seeds=seeds, prompts=prompts, device="cpu")
        return time.process_time() - started


def _searched(store: Path) -> tuple[float, float]:
    """Return the CPU seconds of the search of `framebank train`, and of the candidate that takes longest in it."""
    from framebank.heads.training.auto import TriedCandidate, find_recipe

    ground, ends = _ground(store), [time.process_time()]

    def told(one: TriedCandidate, done: int, total: int) -> None:
        ends.append(time.process_time())

    find_recipe(ground, _base(), budget=1e6, told=told)
    return ends[-1] - ends[0], float(np.diff(ends).max())


def _folds(store: Path) -> tuple[float, float]:
    """Return the CPU seconds of the folds of the linear candidate together, and of one of them."""
    from framebank.heads.training.candidates import linear_recipe

    ground = _ground(store)
    recipe, parts = linear_recipe(_base(), num_videos=len(ground.frames)), ground.parts()
    ends = [time.process_time()]
    for some in (parts, parts[:1]):
        ground.score(recipe, some)
        ends.append(time.process_time())
    return ends[1] - ends[0], ends[2] - ends[1]


def _text_folds(store: Path, classes: int) -> tuple[float, float]:
    """Return the CPU seconds of the folds of text-residual together, and of one of them as `fit` makes it."""
    import torch

    from framebank.heads.class_texts import ClassTexts
    from framebank.heads.training.build import build_model
    from framebank.heads.training.candidates import GENTLE_LR, residual_recipe
    from framebank.heads.training.judging import select
    from framebank.heads.training.loop import fit

    texts, device = ClassTexts.of(_texts(store, classes), scoring="embeddings"), torch.device("cpu")
    ground = _ground(store, texts={"embeddings": texts})
    recipe, parts = residual_recipe(_base(), num_videos=len(ground.frames), lr=GENTLE_LR), ground.parts()
    model = build_model(recipe, dim=WIDTH, num_classes=classes, texts=texts)
    own = select(ground.pooled, parts[0].train)
    list(fit(model, replace(recipe, epochs=1), own, val=None, texts=texts, device=device))  # loads an optimizer
    ends = [time.process_time()]
    ground.score(recipe, parts)
    ends.append(time.process_time())
    list(fit(model, recipe, own, val=None, texts=texts, device=device))
    return ends[1] - ends[0], time.process_time() - ends[1]


def _base() -> Any:
    from framebank.heads.training.recipe import Recipe

    return Recipe(head="mean", classifier="linear", loss="ce", val_fraction=0.0)


def _ground(store: Path, *, texts: dict[str, Any] | None = None) -> Any:
    """Return the training videos as the search has them, one frame of each."""
    import torch

    import framebank as fb
    from framebank.heads.bank import load_bank
    from framebank.heads.training.judging import CandidateGround
    from framebank.store import LabelSet

    device, opened = torch.device("cpu"), fb.open(store)
    train = opened.split("train")
    bank = load_bank(opened, train, LabelSet.of(train.labels), device=device, num_frames=1)
    every = torch.arange(len(bank))
    return CandidateGround.of(bank, val=None, groups=every, prompts_of=texts or {}, frame_norm=True, device=device)


def _write_store(folder: Path, videos: int, classes: int) -> Path:
    """Write videos whose frames lie around a centre of their own, which lies around that of their class."""
    from framebank.store import Embeddings, FeatureSpec, Manifest, ShardWriter, Video

    spec = FeatureSpec(
        model="made-up", pretrained="", weights_hash="0" * 16, dim=WIDTH, preprocessing="none", precision="fp16",
        sampling=f"segments:{FRAMES}", decoder="none",
    )  # fmt: skip
    folder.mkdir()
    draw, indices = np.random.default_rng(0), np.arange(FRAMES)
    centres = 0.2 * draw.normal(size=(classes, WIDTH))
    splits = ["train"] * 3 + ["test"]
    made = [Video(f"v{n}", folder / f"v{n}", f"class {n % classes}", splits[n // classes % 4]) for n in range(videos)]
    Manifest(tuple(made)).write(folder / "manifest.csv")
    with ShardWriter(folder, spec) as writer:
        for number, video in enumerate(made):
            rows = centres[number % classes] + draw.normal(size=WIDTH) + draw.normal(size=(FRAMES, WIDTH))
            writer.add(video.video_id, Embeddings(rows.astype(np.float16), indices / 10, indices))
    return folder


if __name__ == "__main__":
    main()
