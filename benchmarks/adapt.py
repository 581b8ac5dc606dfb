"""Adapted blocks against the best head on frozen rows, on the same videos of the demo world.

python benchmarks/adapt.py [--store STORE] [--work FOLDER] [--shots 4] [--seeds 3] [--part heads|texts]
    [--methods full,lora,ted] [--json FILE]

The store has the streams frame,trunk:2 of 16 frames, in fp32; without one, the demo's clips are rendered and embedded.
Each way of adapting trains on 8 of them with the linear classifier; then a head is trained on the rows that the
adapted encoder makes of the same tokens. Frozen heads have the same videos, seeds and settings. Top-1 on the test
videos, apart for classes whose names the encoder has read (base) and the others (novel); the 95 % interval of the
difference to the attentive probe on frozen rows is a bootstrap over the test videos of the mean over seeds. No setting
was chosen on the test videos.

With `--part texts` the blocks learn, by each of `--methods`, with the classifier "text" and the loss kl instead,
without and with the text adapter. The names of the classes, embedded by the written weights, then score the test
videos, and so does a head that is trained on their rows. The interval of each way with the text adapter is to the same
way without it.
"""

import json
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

CPU = torch.device("cpu")
FRAMES, EPOCHS, LR = 8, 60, 1e-3
WAYS = {  # name -> the recipe of the head on its rows, and how the blocks are adapted
    "frozen, ridge": ("ridge", {}),
    "frozen, linear-probe": ("linear-probe", {}),
    "frozen, attentive-probe": ("attentive-probe", {}),
    "full, attentive-probe": ("attentive-probe", {"method": "full", "head": "attentive"}),
    "lora, attentive-probe": ("attentive-probe", {"method": "lora", "head": "attentive"}),
    "ted, linear-probe": ("linear-probe", {"method": "ted"}),
}
BEST = "frozen, attentive-probe"
TEXT_WAYS = {  # name -> the recipe of the head on its rows, and how the blocks are adapted
    f"{method}, {kind}": (recipe, {"method": method, "text_adapter": kind == "text adapter"})
    for method, recipe in (("full", "attentive-probe"), ("lora", "attentive-probe"), ("ted", "linear-probe"))
    for kind in ("frozen texts", "text adapter")
}


@click.command()
@click.option("--store", "place", type=click.Path(path_type=Path), help="A store with trunk:2.  [make one]")
@click.option("--work", type=click.Path(path_type=Path), help="Keep clips and weights here.  [a folder that goes]")
@click.option("--shots", default=4, help="Training videos of each class.")
@click.option("--seeds", default=3)
@click.option("--part", default="heads", type=click.Choice(["heads", "texts"]))
@click.option("--methods", default="full,lora,ted", help="Of --part texts.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    place: Path | None, work: Path | None, shots: int, seeds: int, part: str, methods: str, json_path: Path | None
) -> None:
    """Train each way with each seed and print one line for each."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of names that the demo encoder has never read
    with tempfile.TemporaryDirectory() as gone:
        folder = work or Path(gone)
        bank = _bank(place, folder)
        told = (
            _heads(bank, folder, seeds, shots)
            if part == "heads"
            else _texts(bank, folder, seeds, shots, methods.split(","))
        )
    if json_path:
        json_path.write_text(json.dumps(told, indent=1))


def _heads(bank: Any, folder: Path, seeds: int, shots: int) -> dict[str, Any]:
    rows = {name: [_right(bank, folder, name, seed, shots) for seed in range(seeds)] for name in WAYS}
    best = np.stack([right for right, _, _ in rows[BEST]])
    told = {}
    for name, found in rows.items():
        right, seconds = np.stack([each for each, _, _ in found]), [each for _, _, each in found]
        told[name] = {**_figures(right, found[0][1], best), "cpu_seconds": seconds}
        print(name, json.dumps(told[name]), flush=True)
    return told


def _texts(bank: Any, folder: Path, seeds: int, shots: int, methods: list[str]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    before: list[np.ndarray] = []
    for name in (way for way in TEXT_WAYS if way.split(",")[0] in methods):
        found = [_right_by_texts(bank, folder, name, seed, shots) for seed in range(seeds)]
        by_texts, by_rows = (np.stack([each[place] for each in found]) for place in (0, 1))  # (seeds, V)
        before = before if name.endswith("text adapter") else [by_texts, by_rows]
        of_novel = found[0][2]
        told[name] = {
            "texts": _figures(by_texts, of_novel, before[0]),
            "rows": _figures(by_rows, of_novel, before[1]),
            "cpu_seconds": [each[3] for each in found],
        }
        print(name, json.dumps(told[name]), flush=True)
    return told


def _figures(right: np.ndarray, of_novel: np.ndarray, beside: np.ndarray) -> dict[str, Any]:
    """Return the figures of who is right (seeds, V), and the gain over others who are right, with its interval."""
    gain = right.mean(0) - beside.mean(0)  # (V,)
    drawn = np.random.default_rng(0).integers(0, len(gain), (10_000, len(gain)))
    low, high = np.percentile(gain[drawn].mean(1), [2.5, 97.5])
    return {
        "top1": right.mean(),
        "over_seeds": right.mean(1).std(ddof=1) if len(right) > 1 else 0.0,
        "base": right[:, ~of_novel].mean(),
        "novel": right[:, of_novel].mean(),
        "gain": [gain.mean(), low, high],
        "gain_base": gain[~of_novel].mean(),
        "gain_novel": gain[of_novel].mean(),
    }


def _bank(place: Path | None, folder: Path) -> Any:
    import framebank as fb
    from framebank.demo.clips import render_clips

    if place:
        return fb.open(place)
    for _ in render_clips(folder / "clips"):
        pass
    how: Any = {"model": "demo", "frames": 16, "precision": "fp32", "streams": "frame,trunk:2"}
    return fb.extract(folder / "clips" / "manifest.csv", folder / "store", **how)


def _right(bank: Any, folder: Path, name: str, seed: int, shots: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return which test videos are right (V,), which are of novel classes (V,), and the CPU seconds of the training."""
    recipe_name, method = WAYS[name]
    started = time.process_time()
    out = folder / f"{name.replace(', ', '-')}-{seed}"
    turn = None
    if method:
        _adapt(bank, out, seed, shots, classifier="linear", **method)
        turn = _turn(bank, out)
    right, of_novel = _by_head(bank, recipe_name, seed, shots, turn)
    return right, of_novel, time.process_time() - started


def _right_by_texts(
    bank: Any, folder: Path, name: str, seed: int, shots: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return which test videos (V,) the names have right and which a head on the rows has, and then as `_right`."""
    from framebank.extract.adapters.adapted import read_adapted
    from framebank.extract.encoders.encoder import Encoder
    from framebank.heads.bank import load_bank
    from framebank.heads.class_texts import ClassTexts
    from framebank.heads.predictions import predict_logits
    from framebank.heads.training.build import build_model
    from framebank.heads.training.recipe import Recipe
    from framebank.library.texts import embed_texts
    from framebank.store import LabelSet

    recipe_name, method = TEXT_WAYS[name]
    started = time.process_time()
    out = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    _adapt(bank, out, seed, shots, classifier="text", loss="kl", **method)
    turn = _turn(bank, out)
    by_rows, of_novel = _by_head(bank, recipe_name, seed, shots, turn)
    seconds = time.process_time() - started
    labels = LabelSet.of(bank.split("train").labels)
    said = read_adapted(out / "weights.safetensors")
    assert said is not None
    prompts = embed_texts(
        labels, Encoder("demo", str(out), device="cpu", precision="fp32"), templates=None, texts="names"
    )
    recipe = Recipe(head="mean", classifier="text", frame_norm=not said.num_frames)
    texts = ClassTexts.of(prompts, scoring=recipe.scoring)
    model = build_model(recipe, dim=bank.spec.dim, num_classes=len(labels), texts=texts).eval()
    test = turn(load_bank(bank, bank.split("test"), labels, device=CPU), labels)
    by_texts = predict_logits(model, test, device=CPU).argmax(1) == test.target
    return by_texts.numpy(), by_rows, of_novel, seconds


def _adapt(bank: Any, out: Path, seed: int, shots: int, **method: Any) -> None:
    import framebank as fb

    fb.adapt(
        bank,
        out,
        frames=FRAMES,
        shots=shots,
        val_fraction=0.0,
        epochs=EPOCHS,
        lr=LR,
        seed=seed,
        device="cpu",
        overwrite=True,
        **method,
    )


def _by_head(
    bank: Any, recipe_name: str, seed: int, shots: int, turn: Callable[[Any, Any], Any] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return which test videos (V,) a head has right that is trained on rows, and which are of novel classes (V,)."""
    from framebank.demo.actions import ACTIONS
    from framebank.heads.bank import load_bank
    from framebank.heads.predictions import predict_logits
    from framebank.library.training import recipe_of, training_job

    recipe = recipe_of(recipe_name, {"seed": seed, "shots": shots, "batch_size": 32}, {})
    job = training_job(bank, bank.split("train"), recipe, device=CPU)
    test = load_bank(bank, bank.split("test"), job.labels, device=CPU)
    if turn:
        job.train, test = turn(job.train, job.labels), turn(test, job.labels)
    for _ in job.epochs():
        pass
    right = predict_logits(job.model.eval(), test, device=CPU).argmax(1) == test.target
    novel = {action.name for action in ACTIONS if action.novel}
    of_novel = torch.tensor([label in novel for label in job.labels.names])
    return right.numpy(), of_novel[test.target].numpy()


def _turn(bank: Any, out: Path) -> Callable[[Any, Any], Any]:
    """Return what gives a bank the rows that the adapted encoder makes of the tokens of its videos."""
    from framebank.extract.adapters.adapted import read_adapted, read_adapters
    from framebank.extract.adapters.tail import Tail
    from framebank.extract.adapters.ted import TedAdapters
    from framebank.extract.adapters.text_adapters import of_both_towers
    from framebank.extract.encoders.encoder import Encoder
    from framebank.heads.bank import load_bank
    from framebank.store import Manifest

    weights = out / "weights.safetensors"
    said = read_adapted(weights)
    assert said is not None
    trunk = Encoder("demo", None if said.num_frames else str(out), device="cpu", precision="fp32").trunk(2)
    tail = Tail(trunk, trunk.blocks[-2:])
    if said.num_frames:
        adapters = TedAdapters(trunk, blocks=2, num_frames=said.num_frames, dim=bank.spec.dim)
        adapters.load_state_dict(of_both_towers(read_adapters(weights))[0])
        tail = Tail(trunk, adapters.put_into(trunk), after=adapters.after)

    @torch.no_grad()
    def turn(rows: Any, labels: Any) -> Any:
        videos = Manifest(bank.manifest.of_ids(rows.video_ids))
        tokens = load_bank(bank, videos, labels, device=CPU, stream="trunk", num_frames=said.num_frames)
        x = tail(tokens.x)
        if not said.num_frames:
            return replace(rows, x=x)
        return replace(rows, x=x.mean(1, keepdim=True), mask=torch.ones(len(x), 1, dtype=torch.bool))

    return turn


if __name__ == "__main__":
    main()
