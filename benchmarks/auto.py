"""What `framebank train` chooses by itself, beside ways that are named, on the test split that no choice has seen.

python benchmarks/auto.py STORE LINES [--shots 1,2,4,8,16] [--seeds 3] [--ways auto,linear-probe,ridge,lda]
    [--prompts FILE] [--set KEY=VALUE ...] [--budget 50s] [--pairs FILE]

STORE holds a split "train" and a split "test". For each number of shots (0 is every training video) and each seed, the
same videos train every way: `auto`, a recipe, or one of WAYS. LINES gets one line of JSON for each training, at once. A
training that has its line there is not made again. --pairs names a file of classes, one a line, whose videos get a
top-1 of their own. "right" has a 1 for each test video that was right and a 0 for each other one, in the order of their
ids. "best" is the way of the highest mean test score, which nobody knows beforehand: how far `auto` is
behind it is what not knowing costs. A way that the store cannot serve is left out.
"""

import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np

FITTED = {"head": "mean", "loss": "ce", "epochs": 0}
RESIDUAL = {"head": "mean", "loss": "ce", "classifier": "text", "settings": {"text": "residual"}}
WAYS: dict[str, dict[str, Any]] = {
    "lda": {**FITTED, "classifier": "lda"},
    "1-nn": {**FITTED, "classifier": "knn", "settings": {"classifier.k": "1"}},
    "taskres": {**RESIDUAL, "scoring": "embeddings"},
}
TEXT_WAYS = ("auto", "taskres")


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.argument("lines", type=click.Path(path_type=Path))
@click.option("--shots", default="0", help="Numbers of training videos a class; 0 is all.")
@click.option("--seeds", default=3)
@click.option("--ways", default="auto,linear-probe,ridge,lda", help="auto, recipes, or some of WAYS.")
@click.option("--prompts", type=click.Path(path_type=Path, exists=True), help="Texts of the classes.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A key of every way but auto.")
@click.option("--budget", default="50s")
@click.option("--pairs", type=click.Path(path_type=Path, exists=True), help="Classes with a top-1 of their own.")
@click.option("--device", default="cpu")
def main(
    store: Path,
    lines: Path,
    shots: str,
    seeds: int,
    ways: str,
    prompts: Path | None,
    settings: tuple[str, ...],
    budget: str,
    pairs: Path | None,
    device: str,
) -> None:
    """Train them and print a row for each number of shots and each way."""
    import framebank as fb

    warnings.simplefilter("ignore")
    paired = pairs.read_text(encoding="utf-8").splitlines() if pairs else []
    keys = dict(pair.split("=", 1) for pair in settings)
    for count in map(int, shots.split(",")):
        means = {}
        for way in ways.split(","):
            rows = []
            for seed in range(seeds):
                asked = {"shots": count, "way": way, "seed": seed, "set": {} if way == "auto" else keys}
                row = _known(lines, asked)
                if row is None:
                    try:
                        row = _trained(store, asked, prompts=prompts, budget=budget, paired=paired, device=device)
                    except fb.DataError as error:
                        click.echo(f"{way} at {count} shots: {error}", err=True)
                        break
                    with lines.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                rows.append(row)
            if rows:
                means[way] = statistics.fmean(row["top1"] for row in rows)
                click.echo(_told(rows))
        others = {way: mean for way, mean in means.items() if way != "auto"}
        if others and "auto" in means:
            best = max(others, key=lambda way: others[way])
            gap = 100 * (means["auto"] - others[best])
            click.echo(f"{count:3d} shots  auto is {gap:+.1f} points from the best of them, {best}")


def _known(lines: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """Return the line of a training that was made before, or None."""
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()] if lines.exists() else []
    return next((row for row in rows if all(row[key] == value for key, value in asked.items())), None)


def _trained(
    store: Path, asked: dict[str, Any], *, prompts: Path | None, budget: str, paired: list[str], device: str
) -> dict[str, Any]:
    """Train one way with one seed; return its test figures, its CPU seconds, and what `auto` tried."""
    import framebank as fb
    from framebank.heads.predictions import Predictions

    way, started = asked["way"], time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        run = fb.train(
            store, Path(scratch) / "run", shots=asked["shots"], seed=asked["seed"], device=device,
            prompts=prompts if _reads_texts(way) else None, **_options(asked, budget),
        )  # fmt: skip
        seconds = time.process_time() - started
        report = run.evaluate(split="test")
        counts = np.array(report.confusion)  # (C, C): a row for each true class
        of_pairs = np.isin(report.labels, paired)
        tried = run.choice.to_dict() if run.choice else {}
        found = Predictions.read(run.path / "predictions.npz")
        right = (found.scores.argmax(1) == found.targets)[np.argsort(found.video_ids)]
        return {
            **asked,
            "right": "".join(map(str, right.astype(int))),
            "top1": report.top1,
            "class_mean": report.mean_class_accuracy,
            "videos": int(counts.sum()),
            "pairs": _share_right(counts, of_pairs) if paired else None,
            "others": _share_right(counts, ~of_pairs) if paired else None,
            "cpu_seconds": round(seconds, 2),
            "chosen": tried.get("chosen", ""),
            "tried": tried,
        }


def _share_right(counts: np.ndarray, of: np.ndarray) -> float:
    return float(np.diag(counts)[of].sum() / counts[of].sum())


def _options(asked: dict[str, Any], budget: str) -> dict[str, Any]:
    way = asked["way"]
    if way == "auto":
        return {"budget": budget}
    options = dict(WAYS.get(way, {"recipe": way}))
    return {**options, "settings": {**options.get("settings", {}), **asked["set"]}}


def _reads_texts(way: str) -> bool:
    from framebank.heads.training.recipe import read_recipe

    return way in TEXT_WAYS or (way not in WAYS and read_recipe(way).reads_texts)


def _told(rows: list[dict[str, Any]]) -> str:
    top1 = [100 * row["top1"] for row in rows]
    over = statistics.stdev(top1) if len(top1) > 1 else 0.0
    seconds = statistics.fmean(row["cpu_seconds"] for row in rows)
    pairs = f"  pairs {100 * statistics.fmean(row['pairs'] for row in rows):5.1f} %" if rows[0]["pairs"] else ""
    chosen = f"  {', '.join(row['chosen'] for row in rows)}" if rows[0]["chosen"] else ""
    return (
        f"{rows[0]['shots']:3d} shots  {rows[0]['way']:18s} {statistics.fmean(top1):5.1f} %  over {len(rows)} seeds "
        f"{over:4.1f}{pairs}  {seconds:6.1f} s of CPU{chosen}"
    )


if __name__ == "__main__":
    main()
