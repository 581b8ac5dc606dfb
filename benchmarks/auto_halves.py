"""Which rule should choose among the ways of `framebank train`? Found on training videos alone, in halves.

python benchmarks/auto_halves.py STORE ... [--shots 4,8,16] [--draws 5] [--prompts FILE] [--lines FILE]

STORE holds a split "train"; no other video is read. Half of it, by source, judges what is chosen on videos of the other
half. Every way that reads the mean of the frames, and with --prompts every way that reads texts, is scored by folds of
the drawn videos, then trained on all of them and measured on the other half. A rule sees the scores by folds and takes
one way, or the mean of the probabilities of several, each at the temperature that fits its folds. The table has, for
each rule, how many points that is behind the best of the ways, mean and most over the draws; an average may be before
it. --lines keeps what each draw gave as a line of JSON. With two videos a class no fold judges lda: it is measured, and
every rule that would take a way without texts takes it.
"""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

Rule = Callable[["_Draw"], list[tuple[str, float]]]  # the ways to average, each with its temperature


@click.command()
@click.argument("stores", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--shots", default="4,8,16", help="Training videos a class; at most those of a half; 0 is all.")
@click.option("--draws", default=5, help="Draws of the halves for each number of shots.")
@click.option("--prompts", type=click.Path(path_type=Path, exists=True), help="Texts of the classes of the stores.")
@click.option("--lines", type=click.Path(path_type=Path), help="Append what each draw gave to this file.")
def main(stores: tuple[Path, ...], shots: str, draws: int, prompts: Path | None, lines: Path | None) -> None:
    """Score the ways on halves and print a row for each store and rule."""
    import framebank as fb

    for store in stores:
        behind: dict[str, list[float]] = {name: [] for name in _rules()}
        for count in map(int, shots.split(",")):
            for seed in range(draws):
                try:
                    draw = _Draw(fb.open(store), count, seed, prompts)
                except fb.DataError as error:
                    click.echo(f"{store.name}, {count} shots: {error}", err=True)
                    break
                worth = {name: draw.worth([(name, 1.0)]) for name in draw.scores}
                row: dict[str, Any] = {"store": str(store), "shots": count, "seed": seed, "worth": worth}
                for name, rule in _rules().items():
                    taken = draw.with_lda(rule(draw))
                    row[name] = [way for way, _ in taken]
                    behind[name].append(100 * (max(worth.values()) - draw.worth(taken)))
                    row[f"{name}: points behind"] = behind[name][-1]
                row["folds"] = {one.judged.name: (one.judged.top1, one.judged.loss) for one in draw.held}
                click.echo(json.dumps(row))
                if lines:
                    with lines.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
        for name, points in behind.items():
            if points:
                told = f"{statistics.fmean(points):.2f} points behind, {max(points):.1f} at most"
                click.echo(f"{store}: {name}: {told}, {len(points)} draws")


class _Draw:
    """One draw: `held` (the ways as folds judge them) and `scores` (their logits for the other half, by name)."""

    def __init__(self, store: Any, shots: int, seed: int, prompts: Path | None) -> None:
        import torch

        from framebank.heads.bank import load_bank
        from framebank.heads.class_texts import ClassTexts
        from framebank.heads.training.auto import _judge
        from framebank.heads.training.candidates import candidates_of
        from framebank.heads.training.judging import CandidateGround
        from framebank.heads.training.recipe import SCORINGS, Recipe
        from framebank.store import DataError, LabelSet, PromptBank
        from framebank.store.videos.groups import groups_of

        first, second = store.split("train").held_out(0.5, seed=seed)
        train = first.few_shot(shots, seed=seed) if shots else first
        texts = PromptBank.read(prompts) if prompts else None
        labels, cpu = texts.labels if texts else LabelSet.of(train.labels), torch.device("cpu")
        bank, other = (load_bank(store, part, labels, device=cpu) for part in (train, second))
        prompts_of = {way: ClassTexts.of(texts, scoring=way) for way in SCORINGS} if texts else {}
        shared: dict[str, Any] = {"prompts_of": prompts_of, "frame_norm": False, "device": cpu}
        groups = torch.from_numpy(groups_of(train.videos))
        by_folds = CandidateGround.of(bank, val=None, groups=groups, **shared)
        measured = CandidateGround.of(bank, val=other, groups=groups, **shared)
        parts = by_folds.parts()
        self.target, self.groups = by_folds.targets(parts), by_folds.judge_groups(parts)
        self.num_classes, self.others = bank.num_classes, other.target
        self.held: list[Any] = []
        self.scores: dict[str, Any] = {}
        base = Recipe(head="mean", classifier="linear", loss="ce", val_fraction=0.0, seed=seed)
        for candidate in candidates_of(base, num_videos=len(bank), num_frames=1, has_texts=bool(texts)):
            recipe = candidate.recipes[0]
            try:
                found = [_judge(by_folds, candidate, each, parts) for each in candidate.recipes]
                self.held.append(min(found, key=lambda one: one.judged.loss))
                recipe = self.held[-1].judged.recipe
            except DataError as error:  # a few videos cannot serve it in folds
                click.echo(f"{candidate.name}: {error}", err=True)
            self.scores[candidate.name] = measured.score(recipe, measured.parts())

    @property
    def judged(self) -> list[Any]:
        """What the folds say of each way."""
        return [one.judged for one in self.held]

    def able(self) -> list[Any]:
        """Return the ways that may be taken: those with texts only if the texts tell the classes apart."""
        from framebank.heads.training.choosing import texts_tell

        tell = texts_tell(self.judged, num_classes=self.num_classes)
        return [one for one in self.held if tell or not one.judged.candidate.reads_texts]

    def with_lda(self, taken: list[tuple[str, float]]) -> list[tuple[str, float]]:
        """Return what was taken, or lda if no fold judged it and nothing that was taken reads texts."""
        plain = {one.name for one in self.judged if one.is_plain}
        unjudged = "lda" in self.scores and "lda" not in plain
        return [("lda", 1.0)] if unjudged and all(name in plain for name, _ in taken) else taken

    def worth(self, taken: list[tuple[str, float]]) -> float:
        """Return the top-1 on the other half of the mean of the probabilities."""
        from framebank.heads.metrics import score_targets

        return score_targets(sum((self.scores[name] / each).softmax(-1) for name, each in taken), self.others)


def _rules() -> dict[str, Rule]:
    return {
        "as framebank chooses": _as_now,
        "least cross-entropy, and neighbours give way": lambda draw: [(_least(draw.able()).judged.name, 1.0)],
        "least cross-entropy": lambda draw: [(min(draw.able(), key=lambda one: one.judged.loss).judged.name, 1.0)],
        "highest top-1": lambda draw: [(max(draw.able(), key=lambda one: one.judged.top1).judged.name, 1.0)],
        "mean of those that are not surely worse": _mean_of_equals,
        "mean by ensemble selection": lambda draw: _selected(draw, draw.able()),
    }


def _as_now(draw: _Draw) -> list[tuple[str, float]]:
    from framebank.heads.training.averaging import choose_average
    from framebank.heads.training.choosing import choose

    best, _ = choose(draw.judged, num_classes=draw.num_classes)
    average = choose_average(draw.held, best, target=draw.target, groups=draw.groups, left=1e9)
    members = average.members if average.is_better else ()
    return [(member.name, member.temperature) for member in members] or [(best.name, 1.0)]


def _mean_of_equals(draw: _Draw) -> list[tuple[str, float]]:
    """Return the way of `_least`, and two others at most that it does not lead by more than a standard error."""
    from framebank.heads.training.choosing import VOTES, gain

    best = _least(draw.able())
    leads = [(gain(best.judged, one.judged), one) for one in draw.able() if one.judged.name != VOTES]
    level = [one for (lower, error), one in leads if lower <= error]
    level = sorted(level, key=lambda one: (one is not best, one.judged.loss))[:3]
    return [pair for one in level for pair in _selected(draw, [one])]


def _selected(draw: _Draw, held: Sequence[Any]) -> list[tuple[str, float]]:
    from framebank.heads.training.member_choice import MemberChoice

    found = MemberChoice([one.logits for one in held], draw.target, draw.groups).choose()
    return [(held[place].judged.name, each) for place, each in zip(found.places, found.temperatures, strict=True)]


def _least(held: Sequence[Any]) -> Any:
    """Return the way of the least cross-entropy; neighbours must lower that of the others by a standard error."""
    from framebank.heads.training.choosing import VOTES, gain

    best = min((one for one in held if one.judged.name != VOTES), key=lambda one: one.judged.loss)
    votes = next((one for one in held if one.judged.name == VOTES), best)
    lower, error = gain(votes.judged, best.judged)
    return votes if lower > error else best


if __name__ == "__main__":
    main()
