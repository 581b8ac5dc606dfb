"""Should ridge regression bring each channel to a spread of one? With and without it, and what the folds choose.

python benchmarks/ridge.py STORE [--shots 2,4,8,16] [--seeds 3] [--halves]

The same training videos train both, and both are tested on the split "test". With --halves no test video is read: half
of the training videos, by source, test what the other half trains. The table has the top-1, mean over the seeds, and
how often the spread was chosen. 0 shots are all videos.
"""

import statistics
from pathlib import Path

import click


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--shots", default="2,4,8,16", help="Training videos a class; 0 for all.")
@click.option("--seeds", default=3, help="Draws for each number of shots.")
@click.option("--halves", is_flag=True, help="Test on the other half of the training videos.")
def main(store: Path, shots: str, seeds: int, halves: bool) -> None:
    """Print a row of Markdown for each number of shots."""
    click.echo(
        "| videos a class | draws | with the spread | without | as chosen | with it |\n|---|---|---|---|---|---|"
    )
    for count in map(int, shots.split(",")):
        drawn = [_draw(store, count, seed, halves=halves) for seed in range(seeds)]
        both = " | ".join(f"{100 * statistics.fmean(right[way] for right, _ in drawn):.1f} %" for way in (True, False))
        chosen = 100 * statistics.fmean(right[way] for right, way in drawn)
        often = sum(way for _, way in drawn)
        click.echo(f"| {count or 'all'} | {seeds} | {both} | {chosen:.1f} % | {often} of {seeds} |")


def _draw(folder: Path, shots: int, seed: int, *, halves: bool) -> tuple[dict[bool, float], bool]:
    """Return the top-1 with and without the spread, and whether the spread was chosen."""
    import torch

    import framebank as fb
    from framebank.heads.bank import load_bank
    from framebank.heads.classifiers.ridge import RidgeClassifier
    from framebank.store import LabelSet
    from framebank.store.videos.groups import groups_of

    store = fb.open(folder)
    train, test = store.split("train"), store.split("test")
    if halves:
        train, test = train.held_out(0.5, seed=seed)
    if shots:
        train = train.few_shot(shots, seed=seed)
    labels = LabelSet.of(train.labels)
    banks = [load_bank(store, videos, labels, device=torch.device("cpu")) for videos in (train, test)]
    x, y = (torch.where(bank.mask[..., None], bank.x.float(), 0).sum(1) / bank.mask.sum(1, True) for bank in banks)
    groups = torch.from_numpy(groups_of(train.videos))

    def fitted(standardise: bool | None) -> RidgeClassifier:
        made = RidgeClassifier(x.shape[-1], len(labels), standardise=standardise)
        made.fit(x[:, None], banks[0].target, val=None, groups=groups)
        return made

    right = {}
    with torch.no_grad():
        for way in (True, False):
            right[way] = float((fitted(way)(y).argmax(1) == banks[1].target).float().mean())
        return right, fitted(None).standardised


if __name__ == "__main__":
    main()
