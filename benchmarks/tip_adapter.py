"""What does Tip-Adapter gain if folds of its training videos choose alpha and beta, in place of 3 and 1?

python benchmarks/tip_adapter.py STORE PROMPTS [--shots 2,3,4,8] [--seeds 6] [--test]

No test video is read: half of the training videos, by source, test what the other half gives. The same videos are the
keys of all ways, and folds of them choose alpha and beta. --test tests on the split "test" in place of that half, with
all training videos to draw from. The table has the top-1, mean over the draws.
"""

import statistics
from pathlib import Path

import click

WAYS = ("zero-shot", "3 and 1", "chosen by folds")


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.argument("prompts", type=click.Path(path_type=Path, exists=True))
@click.option("--shots", default="2,3,4,8", help="Training videos a class.")
@click.option("--seeds", default=6, help="Draws for each number of shots.")
@click.option("--test", "on_test", is_flag=True, help="Test on the test videos.")
def main(store: Path, prompts: Path, shots: str, seeds: int, on_test: bool) -> None:
    """Print a row of Markdown for each number of shots."""
    click.echo(f"| videos a class | draws | {' | '.join(WAYS)} |\n|---|---|{'---|' * len(WAYS)}")
    for count in map(int, shots.split(",")):
        drawn = [_draw(store, prompts, count, seed, on_test=on_test) for seed in range(seeds)]
        told = [f"{100 * statistics.fmean(one[way] for one in drawn):.1f} %" for way in WAYS]
        click.echo(f"| {count} | {seeds} | {' | '.join(told)} |")


def _draw(folder: Path, prompts: Path, shots: int, seed: int, *, on_test: bool) -> dict[str, float]:
    """Return the top-1 of each way with one draw of the training videos."""
    import torch

    import framebank as fb
    from framebank.heads.bank import load_bank
    from framebank.heads.class_texts import ClassTexts
    from framebank.heads.classifiers.tip_adapter import TipAdapter
    from framebank.store import LabelSet, PromptBank
    from framebank.store.videos.groups import groups_of

    store = fb.open(folder)
    train, test = store.split("train"), store.split("test")
    if not on_test:
        train, test = train.held_out(0.5, seed=seed)
    train = train.few_shot(shots, seed=seed)
    bank = PromptBank.read(prompts)
    labels = LabelSet.of(train.labels)
    texts = ClassTexts.of(bank.select(labels.names), scoring="embeddings")
    banks = [load_bank(store, videos, labels, device=torch.device("cpu")) for videos in (train, test)]
    x, y = (torch.where(one.mask[..., None], one.x.float(), 0).sum(1) / one.mask.sum(1, True) for one in banks)
    groups = torch.from_numpy(groups_of(train.videos))

    def right(**options: float) -> float:
        made = TipAdapter(x.shape[-1], len(labels), texts, **options)  # type: ignore[arg-type]
        made.fit(x[:, None], banks[0].target, val=None, groups=groups)
        return float((made(y).argmax(1) == banks[1].target).float().mean())

    with torch.no_grad():
        found = right(search=False, alpha=0.0), right(search=False), right()
    return dict(zip(WAYS, found, strict=True))


if __name__ == "__main__":
    main()
