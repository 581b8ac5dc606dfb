"""Several seeds, or folds, of one head: one after the other, and all in one step by torch.func.vmap, in one run.

python benchmarks/seeds.py [--seeds 3] [--width 128] [--batch 64] [--device auto] [--json FILE]

Videos of 16 frames of 128 values, 16 classes, batches of 64: the size of the demo, where a step is mostly overhead and
seeds side by side have the most to win. Each seed has its own weights, and its own batches, as each fold has. The two
ways take turns, each for about --seconds; milliseconds for a step of all seeds (of CPU time, where a CPU computes),
medians, and the ratio of the two.
"""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

VIDEOS, FRAMES, CLASSES = 352, 16, 16


@click.command()
@click.option("--seeds", default=3)
@click.option("--width", default=128)
@click.option("--batch", default=64)
@click.option("--device", default="auto")
@click.option("--heads", default="mean,attentive,mit,transformer")
@click.option("--turns", default=5)
@click.option("--seconds", default=1.0, help="Of each turn, about.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    seeds: int, width: int, batch: int, device: str, heads: str, turns: int, seconds: float, json_path: Path | None
) -> None:
    """Time both ways and print the ratio."""
    import torch

    from framebank.extract.encoders.device import resolve_device

    place = resolve_device(device)
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    rows = []
    for head in heads.split(","):
        models = [_models(head, seeds, width, place) for _ in range(2)]
        ways = {"apart": _apart(models[0], width, batch, place), "together": _together(models[1], width, batch, place)}
        counts = {way: max(2, round(seconds / _time(step, 2, place))) for way, step in ways.items()}
        found: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(turns):
            for way in list(ways)[:: -1 if turn % 2 else 1]:  # none is always after the same other
                found[way].append(1000 * _time(ways[way], counts[way], place))
        medians = {way: statistics.median(times) for way, times in found.items()}
        rows.append({"head": head, "device": name, "seeds": seeds, "width": width, "batch": batch, **medians})
        click.echo(
            f"{head} on {name}, {seeds} seeds: apart {medians['apart']:.2f} ms, together {medians['together']:.2f} ms, "
            f"{medians['apart'] / medians['together']:.2f} times as fast"
        )
    if json_path:
        json_path.write_text(json.dumps({"rows": rows}, indent=1))


def _bank(width: int, device: Any) -> tuple[Any, Any, Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(VIDEOS, FRAMES, width, generator=generator).half().to(device)
    target = torch.randint(CLASSES, (VIDEOS,), generator=generator).to(device)
    return x, torch.ones(VIDEOS, FRAMES, dtype=torch.bool, device=device), target


def _models(head: str, seeds: int, width: int, device: Any) -> list[Any]:
    from framebank.heads.training.build import build_model
    from framebank.heads.training.recipe import Recipe

    recipes = [Recipe(head=head, classifier="linear", loss="ce", seed=seed) for seed in range(seeds)]
    models = [build_model(recipe, dim=width, num_classes=CLASSES, texts=None) for recipe in recipes]
    return [model.to(device).train() for model in models]


def _apart(models: list[Any], width: int, batch: int, device: Any) -> Callable[[], None]:
    import torch
    import torch.nn.functional as F

    x, mask, target = _bank(width, device)
    optimizers = [torch.optim.AdamW(model.parameters(), lr=5e-4, fused=True) for model in models]

    def step() -> None:
        for model, optimizer in zip(models, optimizers, strict=True):
            rows = torch.randint(VIDEOS, (batch,), device=device)
            loss = F.cross_entropy(model(x[rows], mask[rows]), target[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return step


def _together(models: list[Any], width: int, batch: int, device: Any) -> Callable[[], None]:
    import torch
    import torch.nn.functional as F
    from torch.func import functional_call, stack_module_state, vmap

    x, mask, target = _bank(width, device)
    parameters, buffers = stack_module_state(models)
    optimizer = torch.optim.AdamW(parameters.values(), lr=5e-4, fused=True)

    def loss_of(own: Any, fixed: Any, frames: Any, real: Any, label: Any) -> Any:
        return F.cross_entropy(functional_call(models[0], (own, fixed), (frames, real)), label)

    losses_of = vmap(loss_of, randomness="different")

    def step() -> None:
        rows = torch.randint(VIDEOS, (len(models), batch), device=device)
        losses = losses_of(parameters, buffers, x[rows], mask[rows], target[rows])
        optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        optimizer.step()

    return step


def _time(step: Callable[[], None], count: int, device: Any) -> float:
    """Return the seconds of a step, of so many after one that warms up."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    step()
    _wait(device)
    started = clock()
    for _ in range(count):
        step()
    _wait(device)
    return (clock() - started) / count


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
