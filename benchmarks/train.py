"""Training from a bank in memory against a bare loop, and against a DataLoader over HDF5, in one run.

python benchmarks/train.py [--device auto] [--videos 2000] [--seconds 2] [--full] [--json FILE]

Three ways train the same model on the same videos with the same batches, taking turns; steps a second are the median
of the turns. "bare loop" is what is left when everything is taken away: a tensor on the device, rows by index, forward,
cross-entropy, backward, AdamW. "framebank" is `fit`. Both run for about --seconds a turn. "DataLoader" reads each video
from the store's HDF5 with two workers, the usual way. The head "mean" learns nothing, so that `fit` pools the bank
once; "pooled_once" is how many times as fast its epochs are then as those of the bare loop over the frames, at several
numbers of frames and classes: what is left is the classifier, which grows with the classes. "bf16" is how many times as
fast `fit` is with --precision bf16 as the bare loop in fp32, for other heads, where the hardware multiplies bf16. Then
seconds for an epoch at the size of Kinetics-400, 240,000 videos of 8 frames of 512 values, made up: the whole epoch
with --full, else measured steps times their number. On a CPU, "together" is how many times the CPU seconds of the
longest of ten small heads all ten of them take (benchmarks/together.py).
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from framebank.benchmarks.together import measure

FRAMES, WIDTH, CLASSES = 8, 512, 400
KINETICS = 240_000
SHAPES = {"8 frames, 400 classes": (8, 400), "16 frames, 101 classes": (16, 101), "16 frames, 16 classes": (16, 16)}


@click.command()
@click.option("--device", default="auto")
@click.option("--videos", default=2000, help="Videos that the three ways train on.")
@click.option("--batch-size", default=256)
@click.option("--turns", default=5)
@click.option("--seconds", default=2.0, help="Of each turn, about.")
@click.option("--full", is_flag=True, help="Whole epochs at the size of Kinetics-400.")
@click.option("--heads", default="mean,mit,transformer")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    device: str,
    videos: int,
    batch_size: int,
    turns: int,
    seconds: float,
    full: bool,
    heads: str,
    json_path: Path | None,
) -> None:
    """Time them and print the ratios."""
    import torch

    from framebank.extract.encoders.device import resolve_device

    place = resolve_device(device)
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    rows = []
    for head in heads.split(","):
        row = {"head": head, "device": name, **_steps(head, videos, batch_size, turns, seconds, place)}
        row["kinetics_epoch_s"] = _epoch(head, batch_size, place, full=full, steps_per_second=row["framebank"])
        rows.append(row)
        click.echo(
            f"{head} on {name}: framebank {row['framebank']:.1f} steps/s; bare loop {row['bare']:.1f}, ratio "
            f"{row['ratio']:.2f}; DataLoader {row['loader']:.1f}, {row['framebank'] / row['loader']:.1f} times slower; "
            f"an epoch of Kinetics-400 {row['kinetics_epoch_s']:.1f} s{'' if full else ' by these steps'}"
            + (f"; bf16 {row['bf16']:.2f} times the bare loop in fp32" if row["bf16"] else "")
            + "".join(f"; pooled once at {shape} {times:.1f} times" for shape, times in row["pooled_once"].items())
        )
    together = measure(videos=3000, classes=20) if place.type == "cpu" else {}
    for name, found in together.items():
        click.echo(f"ten heads, {name}: {found['ratio']:.2f} times the CPU seconds of the longest one")
    if json_path:
        ratios = {name: found["ratio"] for name, found in together.items()}
        told = {"batch_size": batch_size, "full": full, "rows": rows, "together": ratios}
        json_path.write_text(json.dumps(told, indent=1))


def _bank(num_videos: int, device: Any, *, frames: int = FRAMES, classes: int = CLASSES) -> Any:
    import torch

    from framebank.heads.bank import Bank

    generator = torch.Generator().manual_seed(0)
    x = torch.empty(num_videos, frames, WIDTH, dtype=torch.float16)
    for start in range(0, num_videos, 10_000):
        part = x[start : start + 10_000]
        part.copy_(torch.randn(part.shape, generator=generator))
    return Bank(
        video_ids=tuple(map(str, range(num_videos))),
        x=x.to(device),
        mask=torch.ones(num_videos, frames, dtype=torch.bool, device=device),
        target=torch.randint(classes, (num_videos,), generator=generator).to(device),
        num_listed=num_videos,
        num_classes=classes,
    )


def _recipe(head: str, batch_size: int, epochs: int, *, precision: str = "fp32") -> Any:
    from framebank.heads.training.recipe import Recipe

    return Recipe(
        head=head, classifier="linear", loss="ce", batch_size=batch_size, epochs=epochs, warmup=0.0, precision=precision
    )


def _model(recipe: Any, device: Any, *, classes: int = CLASSES) -> Any:
    from framebank.heads.training.build import build_model

    return build_model(recipe, dim=WIDTH, num_classes=classes, texts=None).to(device)


def _has_bf16(head: str, device: Any) -> bool:
    from framebank.heads.training.precision import multiplies_bf16

    return head != "mean" and multiplies_bf16(device)


def _steps(head: str, num_videos: int, batch_size: int, turns: int, seconds: float, device: Any) -> dict[str, Any]:
    bank = _bank(num_videos, device)
    with tempfile.TemporaryDirectory() as scratch:
        _write_store(Path(scratch) / "store", bank)
        steps_per_epoch = -(-num_videos // batch_size)
        epochs = max(2, round(seconds * _bare(head, bank, batch_size, 2, device) / steps_per_epoch))
        ways: dict[str, Callable[[], float]] = {
            "bare": lambda: _bare(head, bank, batch_size, epochs, device),
            "framebank": lambda: _fit(head, bank, batch_size, epochs, device),
            "loader": lambda: _loader(head, Path(scratch) / "store", batch_size, device),
        }
        if _has_bf16(head, device):
            ways["bf16"] = lambda: _fit(head, bank, batch_size, epochs, device, precision="bf16")
        found: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(turns):
            for name, way in list(ways.items())[:: -1 if turn % 2 else 1]:  # none is always after the same other
                found[name].append(way())
    medians = {name: statistics.median(values) for name, values in found.items()}
    ratio = statistics.median(a / b for a, b in zip(found["framebank"], found["bare"], strict=True))
    shapes = SHAPES if head == "mean" else {}
    pooled = {name: _pooled_once(frames, classes, turns, device) for name, (frames, classes) in shapes.items()}
    pairs = zip(found.get("bf16", ()), found["bare"], strict=False)
    bf16 = statistics.median([a / b for a, b in pairs]) if "bf16" in found else None
    return {**medians, "ratio": ratio, "pooled_once": pooled, "bf16": bf16}


def _pooled_once(frames: int, classes: int, turns: int, device: Any) -> float:
    """Return how many times as fast `fit` is on a linear probe, which it pools once, as the bare loop over the frames.

    The seconds of pooling count, over the 50 epochs that a training has by default.
    """
    from framebank.heads.training.pooled import pool_once

    bank = _bank(2000, device, frames=frames, classes=classes)
    steps, epochs = -(-len(bank) // 256), 20
    found = []
    for _ in range(turns):
        started = time.perf_counter()
        pool_once(_model(_recipe("mean", 256, 1), device, classes=classes), bank, val=None, device=device)
        _wait(device)
        pooling = (time.perf_counter() - started) / 50
        epoch = steps / _fit("mean", bank, 256, epochs, device) + pooling
        found.append(steps / _bare("mean", bank, 256, epochs, device) / epoch)
    return statistics.median(found)


def _fit(head: str, bank: Any, batch_size: int, epochs: int, device: Any, *, precision: str = "fp32") -> float:
    from framebank.heads.training.loop import fit

    recipe = _recipe(head, batch_size, epochs=epochs + 1, precision=precision)
    log = list(fit(_model(recipe, device, classes=bank.num_classes), recipe, bank, val=None, texts=None, device=device))
    return epochs * -(-len(bank) // batch_size) / sum(epoch.seconds for epoch in log[1:])  # the first warms up


def _bare(head: str, bank: Any, batch_size: int, epochs: int, device: Any) -> float:
    import torch
    import torch.nn.functional as F

    model = _model(_recipe(head, batch_size, epochs=1), device, classes=bank.num_classes).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, fused=True)
    for epoch in range(epochs + 1):
        if epoch == 1:
            _wait(device)
            started = time.perf_counter()
        for rows in torch.randperm(len(bank), device=device).split(batch_size):
            loss = F.cross_entropy(model(bank.x[rows], bank.mask[rows]), bank.target[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    _wait(device)
    return epochs * -(-len(bank) // batch_size) / (time.perf_counter() - started)


def _loader(head: str, store: Path, batch_size: int, device: Any) -> float:
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader

    from framebank.heads.training.dataset import FrameDataset, pad_frames

    model = _model(_recipe(head, batch_size, epochs=1), device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, fused=True)
    loader = DataLoader(
        FrameDataset(store),
        batch_size=batch_size,
        shuffle=True,
        num_workers=2,
        collate_fn=pad_frames,
        persistent_workers=True,
    )
    steps = 0
    for epoch in range(2):
        if epoch:
            _wait(device)
            started = time.perf_counter()
        for x, mask, target in loader:
            loss = F.cross_entropy(model(x.to(device), mask.to(device)), target.to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            steps += bool(epoch)
    _wait(device)
    return steps / (time.perf_counter() - started)


def _epoch(head: str, batch_size: int, device: Any, *, full: bool, steps_per_second: float) -> float:
    """Return the seconds of an epoch at Kinetics-400's size: of the second, or what the measured steps make of it."""
    from framebank.heads.training.loop import fit

    if not full:
        return -(-KINETICS // batch_size) / steps_per_second
    bank, recipe = _bank(KINETICS, device), _recipe(head, batch_size, epochs=2)
    *_, last = fit(_model(recipe, device), recipe, bank, val=None, texts=None, device=device)
    return last.seconds


def _write_store(folder: Path, bank: Any) -> None:
    from framebank.store import Embeddings, FeatureSpec, Manifest, ShardWriter, Video

    spec = FeatureSpec(
        model="made-up", pretrained="", weights_hash="0" * 16, dim=WIDTH, preprocessing="none", precision="fp16",
        sampling=f"segments:{FRAMES}", decoder="none",
    )  # fmt: skip
    folder.mkdir()
    targets = bank.target.tolist()
    videos = [
        Video(name, folder / name, f"class {label}", "train")
        for name, label in zip(bank.video_ids, targets, strict=True)
    ]
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    indices = np.arange(FRAMES)
    with ShardWriter(folder, spec) as writer:
        for video, data in zip(videos, bank.x.cpu().numpy(), strict=True):
            writer.add(video.video_id, Embeddings(data, indices / 10, indices))


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
