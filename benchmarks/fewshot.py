"""Few-shot matching in batches of episodes, against one episode at a time, in one run.

python benchmarks/fewshot.py [--episodes 10000] [--matcher otam ...] [--frames 8] [--device cpu] [--json FILE]

framebank     all episodes, as `framebank fewshot` scores them, from the bank to the scores
one_by_one    the same matcher, one episode at a time
cell_by_cell  OTAM alone: one episode at a time, and a step for each cell of the alignment, as the public code of the
              few-shot papers walks it (written here, not taken from there)

Features are random, and so are the episodes and the weights of matchers that have some. The two slower ways run on
`--few` episodes and are scaled to all of them; `few` says how many they were. Repeats take turns, and medians are told,
in seconds.
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as framebank's own commands

VIDEOS, CLASSES = 2400, 24  # as many as a test split of the few-shot lists has


@click.command()
@click.option("--episodes", default=10_000)
@click.option("--way", default=5)
@click.option("--shot", default=1)
@click.option("--query", default=1, help="Queries of each class.")
@click.option("--frames", default=8)
@click.option("--dim", default=512)
@click.option("--matcher", "names", multiple=True, help="One or more.  [all that need no training]")
@click.option("--few", default=100, help="Episodes of the two slower ways.")
@click.option("--device", default="auto")
@click.option("--repeats", default=3)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    episodes: int,
    way: int,
    shot: int,
    query: int,
    frames: int,
    dim: int,
    names: tuple[str, ...],
    few: int,
    device: str,
    repeats: int,
    json_path: Path | None,
) -> None:
    """Time the ways for each matcher and print them."""
    import torch

    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.fewshot.episodes import EpisodeSampler
    from framebank.heads.fewshot.matcher_name import untrained_matchers
    from framebank.heads.fewshot.scores import EpisodeFrames

    place = resolve_device(device)
    generator = torch.Generator().manual_seed(0)
    bank = EpisodeFrames(
        torch.randn(VIDEOS, frames, dim, generator=generator).to(place),
        torch.ones(VIDEOS, frames, dtype=torch.bool, device=place),
        torch.randn(CLASSES, dim, generator=generator).to(place),
    )
    ids = [f"{number:05}" for number in range(VIDEOS)]
    labels = [f"{number % CLASSES:02}" for number in range(VIDEOS)]
    sampler = EpisodeSampler(way, shot, query, episodes, 0)
    started = time.perf_counter()
    drawn = sampler.draw(ids, labels)
    facts = {
        "device": torch.cuda.get_device_name() if place.type == "cuda" else f"CPU, {torch.get_num_threads()} threads",
        "load": [round(value, 1) for value in os.getloadavg()],
        **sampler.facts,
        "frames": frames,
        "dim": dim,
        "few": few,
        "drawing_seconds": round(time.perf_counter() - started, 3),
    }
    print("\n".join(f"{name:28}{value}" for name, value in facts.items()), end="\n\n", flush=True)
    rows = []
    for name in names or untrained_matchers():
        ways = _ways(name, bank, drawn, replace(sampler, episodes=few).draw(ids, labels), place)
        seconds = _measure(ways, repeats=repeats)
        row = {way: taken if way == "framebank" else taken * episodes / few for way, taken in seconds.items()}
        ratios = {f"{way}_ratio": round(row[way] / row["framebank"], 1) for way in row if way != "framebank"}
        rows.append({"matcher": name, **{way: round(taken, 2) for way, taken in row.items()}, **ratios})
        print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if json_path:
        json_path.write_text(json.dumps({**facts, "matchers": rows}, indent=1), encoding="utf-8")


def _ways(name: str, bank: Any, drawn: Any, some: Any, device: Any) -> dict[str, Callable[[], Any]]:
    """Return what is timed: on all episodes that were drawn, and on some."""
    import torch

    from framebank.heads.fewshot.matcher_name import MatcherName
    from framebank.heads.fewshot.scores import score_episodes
    from framebank.heads.matchers import MATCHERS

    dim = bank.x.shape[2]
    matcher = MATCHERS[name](dim).eval() if name in MATCHERS else MatcherName.parse(name).build(dim)
    matcher = matcher.to(device)

    def framebank() -> Any:
        return score_episodes(matcher, bank, drawn, device=device)

    def one_by_one() -> None:
        with torch.inference_mode():
            for number in range(len(some)):
                classes, support, query = (
                    torch.from_numpy(part[number : number + 1]) for part in (some.classes, some.support, some.query)
                )
                matcher(bank.x[query], bank.x[support], bank.text[classes], bank.mask[query], bank.mask[support]).cpu()

    def cell_by_cell() -> None:
        with torch.inference_mode():
            for number in range(len(some)):
                support, query = (torch.from_numpy(part[number]) for part in (some.support, some.query))
                _otam_of_cells(bank.x[query], bank.x[support]).cpu()

    ways: dict[str, Callable[[], Any]] = {"framebank": framebank, "one_by_one": one_by_one}
    return {**ways, "cell_by_cell": cell_by_cell} if name == "otam" else ways


def _otam_of_cells(query: Any, support: Any, smoothing: float = 0.1) -> Any:
    """Score one episode: query (Q, T, D), support (N, K, T, D) -> (Q, N), a step for each cell, both directions."""
    import torch
    import torch.nn.functional as F

    cosines = torch.einsum("qtd,nksd->qnkts", F.normalize(query, dim=-1), F.normalize(support, dim=-1))
    total = 0
    for costs in (1 - cosines, 1 - cosines.transpose(3, 4)):
        padded = F.pad(costs, (1, 1))
        reached = torch.zeros_like(padded)
        for row in range(padded.shape[3]):
            for column in range(1, padded.shape[4]):
                before = [reached[..., row, column - 1]]
                if row:
                    before.append(reached[..., row - 1, column - 1])
                if row and column in (1, padded.shape[4] - 1):
                    before.append(reached[..., row - 1, column])
                least = -smoothing * (-torch.stack(before) / smoothing).logsumexp(0)
                reached[..., row, column] = padded[..., row, column] + least
        total = total + reached[..., -1, -1]
    return -total.mean(2)


def _measure(ways: dict[str, Callable[[], Any]], *, repeats: int) -> dict[str, float]:
    ways["one_by_one"]()  # warm
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


if __name__ == "__main__":
    main()
