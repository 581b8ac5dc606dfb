"""Adapted blocks against the best head on frozen rows, on the same videos of the demo world.

python benchmarks/adapt.py [--store STORE] [--work FOLDER] [--shots 4] [--seeds 3] [--json FILE]

The store has the streams frame,trunk:2 of 16 frames, in fp32; without one, the demo's clips are rendered and embedded.
Each way of adapting trains on 8 of them with the linear classifier; then a head is trained on the rows that the
adapted encoder makes of the same tokens. Frozen heads have the same videos, seeds and settings. Top-1 on the test
videos, apart for classes whose names the encoder has read (base) and the others (novel); the 95 % interval of the
difference to the attentive probe on frozen rows is a bootstrap over the test videos of the mean over seeds. No setting
was chosen on the test videos.
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


@click.command()
@click.option("--store", "place", type=click.Path(path_type=Path), help="A store with trunk:2.  [make one]")
@click.option("--work", type=click.Path(path_type=Path), help="Keep clips and weights here.  [a folder that goes]")
@click.option("--shots", default=4, help="Training videos of each class.")
@click.option("--seeds", default=3)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(place: Path | None, work: Path | None, shots: int, seeds: int, json_path: Path | None) -> None:
    """Train each way with each seed and print one line for each."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of names that the demo encoder has never read
    with tempfile.TemporaryDirectory() as gone:
        folder = work or Path(gone)
        bank = _bank(place, folder)
        rows = {name: [_right(bank, folder, name, seed, shots) for seed in range(seeds)] for name in WAYS}
    best = np.stack([right for right, _, _ in rows[BEST]])
    told = {}
    for name, found in rows.items():
        right = np.stack([each for each, _, _ in found])  # (seeds, V)
        novel, seconds = found[0][1], [each for _, _, each in found]
        gain = right.mean(0) - best.mean(0)  # (V,)
        drawn = np.random.default_rng(0).integers(0, len(gain), (10_000, len(gain)))
        low, high = np.percentile(gain[drawn].mean(1), [2.5, 97.5])
        told[name] = {
            "top1": right.mean(),
            "over_seeds": right.mean(1).std(ddof=1) if seeds > 1 else 0.0,
            "base": right[:, ~novel].mean(),
            "novel": right[:, novel].mean(),
            "gain": [gain.mean(), low, high],
            "cpu_seconds": seconds,
        }
        print(name, json.dumps(told[name]), flush=True)
    if json_path:
        json_path.write_text(json.dumps(told, indent=1))


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
    import framebank as fb
    from framebank.demo.actions import ACTIONS
    from framebank.heads.bank import load_bank
    from framebank.heads.predictions import predict_logits
    from framebank.library.training import recipe_of, training_job

    recipe_name, method = WAYS[name]
    started = time.process_time()
    turn = None
    if method:
        out = folder / f"{name.replace(', ', '-')}-{seed}"
        fb.adapt(
            bank,
            out,
            classifier="linear",
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
        turn = _turn(bank, out)
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
    return right.numpy(), of_novel[test.target].numpy(), time.process_time() - started


def _turn(bank: Any, out: Path) -> Callable[[Any, Any], Any]:
    """Return what gives a bank the rows that the adapted encoder makes of the tokens of its videos."""
    from framebank.extract.adapters.adapted import read_adapted, read_adapters
    from framebank.extract.adapters.tail import Tail
    from framebank.extract.adapters.ted import TedAdapters
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
        adapters.load_state_dict(read_adapters(weights))
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
