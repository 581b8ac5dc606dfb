"""What `framebank train` chooses by itself, beside recipes that are named, on the test split that no choice has seen.

python benchmarks/auto.py STORE [--shots 1,2,4,8,16] [--seeds 3] [--recipes linear-probe,ridge,knn] [--prompts FILE]
    [--budget 50s] [--json FILE]

STORE holds a split "train" and a split "test". For each number of shots (0 is every training video) and each seed, the
same videos train `auto` and every recipe. "best" is the recipe of the highest mean test score, which nobody knows
beforehand: how far `auto` is behind it is what not knowing costs. A recipe that the store cannot serve is left out.
"""

import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--shots", default="0", help="Numbers of training videos a class; 0 is all.")
@click.option("--seeds", default=3)
@click.option("--recipes", default="linear-probe,ridge,knn")
@click.option("--prompts", type=click.Path(path_type=Path, exists=True), help="Texts of the classes.")
@click.option("--budget", default="50s")
@click.option("--device", default="cpu")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    store: Path,
    shots: str,
    seeds: int,
    recipes: str,
    prompts: Path | None,
    budget: str,
    device: str,
    json_path: Path | None,
) -> None:
    """Train them and print a table for each number of shots."""
    warnings.simplefilter("ignore")
    rows = []
    for count in map(int, shots.split(",")):
        for name in ("auto", *recipes.split(",")):
            row = _row(store, name, count, seeds, prompts=prompts, budget=budget, device=device)
            if row:
                rows.append(row)
                click.echo(_told(row))
        _tell_gap([row for row in rows if row["shots"] == count])
        if json_path:
            json_path.write_text(json.dumps({"store": str(store), "rows": rows}, indent=1))


def _row(
    store: Path, name: str, shots: int, seeds: int, *, prompts: Path | None, budget: str, device: str
) -> dict[str, Any] | None:
    import framebank as fb

    top1, seconds, chosen, judged = [], [], [], []
    for seed in range(seeds):
        options: dict[str, Any] = {"budget": budget} if name == "auto" else {"recipe": name}
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as scratch:
            try:
                run = fb.train(
                    store, Path(scratch) / "run", shots=shots, seed=seed, device=device,
                    prompts=prompts if name == "auto" or _reads_texts(name) else None, **options,
                )  # fmt: skip
            except fb.DataError as error:
                click.echo(f"{name} at {shots} shots: {error}", err=True)
                return None
            seconds.append(time.perf_counter() - started)
            top1.append(run.evaluate(split="test").top1 or 0.0)
            if run.choice:
                chosen.append(run.choice.chosen)
                judged.append(next((one["score"] for one in run.choice.tried if one["name"] == chosen[-1]), None))
    return {
        "name": name,
        "shots": shots,
        "top1": top1,
        "mean": statistics.fmean(top1),
        "deviation": statistics.stdev(top1) if len(top1) > 1 else 0.0,
        "seconds": statistics.fmean(seconds),
        "chosen": chosen,
        "judged": judged,
    }


def _reads_texts(name: str) -> bool:
    from framebank.heads.training.recipe import read_recipe

    return read_recipe(name).reads_texts


def _told(row: dict[str, Any]) -> str:
    chosen = f"  {', '.join(row['chosen'])}" if row["chosen"] else ""
    return (
        f"{row['shots']:3d} shots  {row['name']:18s} {100 * row['mean']:5.1f} %  over seeds "
        f"{100 * row['deviation']:4.1f}  {row['seconds']:6.1f} s{chosen}"
    )


def _tell_gap(rows: list[dict[str, Any]]) -> None:
    named = [row for row in rows if row["name"] != "auto"]
    if named and rows[0]["name"] == "auto":
        best = max(named, key=lambda row: row["mean"])
        gap = 100 * (rows[0]["mean"] - best["mean"])
        click.echo(f"{rows[0]['shots']:3d} shots  auto is {gap:+.1f} points from the best of them, {best['name']}")


if __name__ == "__main__":
    main()
