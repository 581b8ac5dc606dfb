"""How long ten small heads take together, beside the longest of them, in one run.

python benchmarks/small_heads.py STORE [--prompts FILE] [--recipes NAME,NAME] [--json FILE]

`compare` trains ten recipes with small heads on STORE, one seed each, in one process, and evaluates each. The figures
are seconds of CPU: of each recipe from the reading of its bank to its evaluation, of all, and the ratio of all to the
longest. "reading" is what it takes to read the bank once, which each recipe does for itself.
"""

import itertools
import json
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

RECIPES = "ridge,knn,linear-probe,tip-adapter,tip-adapter-f,attentive-probe,mitx,a5,m2clip,logistic"


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--prompts", type=click.Path(path_type=Path, exists=True), help="Texts of the classes.")
@click.option("--recipes", default=RECIPES)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(store: Path, prompts: Path | None, recipes: str, json_path: Path | None) -> None:
    """Time them and print a row for each recipe."""
    import framebank as fb

    warnings.simplefilter("ignore")
    names, marks = recipes.split(","), []

    def timed(trials: Iterable[Any], **options: Any) -> Iterator[Any]:
        marks.append(time.process_time())
        for trial in trials:
            marks.append(time.process_time())
            yield trial

    with tempfile.TemporaryDirectory() as scratch:
        made = fb.compare_recipes(
            store, Path(scratch) / "table", names, seeds=1, prompts=prompts, device="cpu", watch=timed
        )
    taken = [later - earlier for earlier, later in itertools.pairwise(marks)]
    seconds = dict(zip((trial.recipe for trial in made.trials), taken, strict=True))
    for name, refused in made.refused.items():
        click.echo(f"{name}: {refused}", err=True)
    longest = max(seconds, key=lambda name: seconds[name])
    row = {
        "seconds": seconds,
        "all": sum(taken),
        "longest": longest,
        "ratio": sum(taken) / seconds[longest],
        "reading": _reading(store),
    }
    for name, took in seconds.items():
        click.echo(f"{name:16s} {took:7.2f} s of CPU")
    click.echo(
        f"all {row['all']:.2f} s, {row['ratio']:.1f} times {longest}; reading the bank once {row['reading']:.3f} s"
    )
    if json_path:
        json_path.write_text(json.dumps(row, indent=1), encoding="utf-8")


def _reading(store: Path) -> float:
    import torch

    import framebank as fb
    from framebank.heads.bank import load_bank
    from framebank.store import LabelSet

    bank = fb.open(store)
    train = bank.split("train")
    started = time.process_time()
    load_bank(bank, train, LabelSet.of(train.labels), device=torch.device("cpu"))
    return time.process_time() - started


if __name__ == "__main__":
    main()
