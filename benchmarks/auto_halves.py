"""Which rule should choose among the ways of `framebank train`? Found on training videos alone, in halves.

python benchmarks/auto_halves.py STORE ... [--shots 4,8,16] [--draws 5] [--lines FILE]

STORE holds a split "train"; no other video is read. Half of it, by source, judges what is chosen on videos of the other
half. Every way that reads the mean of the frames and no texts is scored by folds of the drawn videos, then trained on
all of them and measured on the other half. A rule sees the scores by folds and takes one way. The table has, for each
rule, how many points its way is behind the best of the ways, mean and most over the draws. --lines keeps what each draw
gave as a line of JSON.
"""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

Rule = Callable[[Sequence[Any], int], str]


@click.command()
@click.argument("stores", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--shots", default="4,8,16", help="Training videos a class; at most those of a half; 0 is all.")
@click.option("--draws", default=5, help="Draws of the halves for each number of shots.")
@click.option("--lines", type=click.Path(path_type=Path), help="Append what each draw gave to this file.")
def main(stores: tuple[Path, ...], shots: str, draws: int, lines: Path | None) -> None:
    """Score the ways on halves and print a row for each store and rule."""
    import framebank as fb

    for store in stores:
        behind: dict[str, list[float]] = {name: [] for name in _rules()}
        for count in map(int, shots.split(",")):
            for seed in range(draws):
                try:
                    judged, worth, num_classes = _draw(fb.open(store), count, seed)
                except fb.DataError as error:
                    click.echo(f"{store.name}, {count} shots: {error}", err=True)
                    break
                row: dict[str, Any] = {"store": store.name, "shots": count, "seed": seed, "worth": worth}
                for name, rule in _rules().items():
                    row[name] = rule(judged, num_classes)
                    behind[name].append(100 * (max(worth.values()) - worth[row[name]]))
                row["folds"] = {one.name: (one.top1, one.loss) for one in judged}
                click.echo(json.dumps(row))
                if lines:
                    with lines.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
        for name, points in behind.items():
            if points:
                told = f"{statistics.fmean(points):.2f} points behind, {max(points):.1f} at most"
                click.echo(f"{store.name}: {name}: {told}, {len(points)} draws")


def _draw(store: Any, shots: int, seed: int) -> tuple[list[Any], dict[str, float], int]:
    """Return the ways as the folds judge them, and the top-1 of each on the other half of the training videos."""
    import torch

    from framebank.heads.bank import load_bank
    from framebank.heads.metrics import score_targets
    from framebank.heads.training.auto import _judge
    from framebank.heads.training.candidates import candidates_of
    from framebank.heads.training.judging import CandidateGround
    from framebank.heads.training.recipe import Recipe
    from framebank.store import DataError, LabelSet
    from framebank.store.videos.groups import groups_of

    first, second = store.split("train").held_out(0.5, seed=seed)
    train = first.few_shot(shots, seed=seed) if shots else first
    labels, cpu = LabelSet.of(train.labels), torch.device("cpu")
    bank, other = (load_bank(store, part, labels, device=cpu) for part in (train, second))
    shared: dict[str, Any] = {"prompts_of": {}, "frame_norm": False, "device": cpu}
    groups = torch.from_numpy(groups_of(train.videos))
    by_folds = CandidateGround.of(bank, val=None, groups=groups, **shared)
    measured = CandidateGround.of(bank, val=other, groups=groups, **shared)
    judged, worth = [], {}
    base = Recipe(head="mean", classifier="linear", loss="ce", val_fraction=0.0, seed=seed)
    for candidate in candidates_of(base, num_videos=len(bank), num_frames=1, has_texts=False):
        try:
            found = [_judge(by_folds, candidate, recipe, by_folds.parts()).judged for recipe in candidate.recipes]
        except DataError:  # a few videos cannot serve it
            continue
        best = min(found, key=lambda one: one.loss)
        judged.append(best)
        worth[best.name] = score_targets(measured.score(best.recipe, measured.parts()), other.target)
    return judged, worth, bank.num_classes


def _rules() -> dict[str, Rule]:
    from framebank.heads.training.choosing import choose

    return {
        "as framebank chooses": lambda judged, count: choose(judged, num_classes=count)[0].name,
        "the same, and neighbours stay": lambda judged, count: _with_neighbours(judged).name,
        "least cross-entropy, and neighbours give way": lambda judged, count: _least(judged).name,
        "least cross-entropy": lambda judged, count: min(judged, key=lambda one: one.loss).name,
        "highest top-1": lambda judged, count: max(judged, key=lambda one: one.top1).name,
    }


def _with_neighbours(judged: Sequence[Any]) -> Any:
    """Return lda, or the way that lowers its cross-entropy most, by more than a standard error."""
    from framebank.heads.training.choosing import KEPT, gain

    kept = next((one for one in judged if one.name == KEPT), min(judged, key=lambda one: one.loss))
    better = [(*gain(one, kept), one) for one in judged if one is not kept]
    return max((found for found in better if found[0] > found[1]), key=lambda found: found[0], default=(0, 0, kept))[2]


def _least(judged: Sequence[Any]) -> Any:
    """Return the way of the least cross-entropy; neighbours must lower that of the others by a standard error."""
    from framebank.heads.training.choosing import VOTES, gain

    best = min((one for one in judged if one.name != VOTES), key=lambda one: one.loss)
    votes = next((one for one in judged if one.name == VOTES), best)
    lower, error = gain(votes, best)
    return votes if lower > error else best


if __name__ == "__main__":
    main()
