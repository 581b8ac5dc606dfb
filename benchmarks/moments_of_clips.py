"""Moments of films that are joined of real clips, found by examples, against the best fixed window.

    python benchmarks/moments_of_clips.py CLIPS --films 50 --json moments_of_clips.json

CLIPS is a folder with a folder of videos for each class. The encoder of the demo embeds them at `--fps` frames a
second. A film is the rows of 6 to 20 clips, none of them twice, one after the other, as if they were one file; no class
follows itself, as in the films of the demo. A query is a film and one of its classes. It is asked by clips of that
class that are not in the film, and of other sources ("v_Archery_g07_c01" and "v_Archery_g07_c02" are of one): by the
mean of the rows of one example, or of five. As in a search by a video, moments are chosen by cosines without the mean
row of all films. Right is an answer that overlaps a clip of the class by enough. A fixed window takes the plain
cosines, or, as a second baseline, those of the moments. The intervals are those of moments.py. For the cuts, films have
any clip after any other. `--groups odd` takes the clips of sources with an odd number.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

import framebank as fb
from framebank.benchmarks.moments import Answer, answered, compared
from framebank.heads.moments.rows import rows_in_time
from framebank.heads.moments.shots import find_cuts
from framebank.heads.moments.stretches import track_of
from framebank.store.vectors import unit

PARTS = (6, 20)  # clips of a film
EXAMPLES = (1, 5)
WINDOWS_OF = ("plain cosines", "the cosines of moments")  # two baselines


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip: its class, its source, the unit rows (T, D) of its frames, their times (T,) and its length in seconds."""

    label: str
    source: str
    rows: np.ndarray
    times: np.ndarray
    seconds: float


def clips_of(folder: Path, *, fps: float) -> list[Clip]:
    """Embed the clips of a folder and return them."""
    with tempfile.TemporaryDirectory() as work:
        bank = fb.extract(folder, Path(work) / "bank", model="demo", fps=fps, device="cpu")
        made = []
        for video in bank.manifest.videos:
            rows, times = rows_in_time(bank[video.video_id])
            source = video.video_id.rsplit("_c", 1)[0]
            made.append(Clip(video.label, source, rows, times, float(times[-1] + 0.5 / fps)))
    return made


def drawn(clips: Sequence[Clip], count: int, rng: np.random.Generator) -> list[Clip]:
    """Return `count` clips, none twice, of which no two neighbours are of one class; fewer if the rest is of one."""
    parts: list[Clip] = []
    left = [clips[at] for at in rng.permutation(len(clips))]
    while len(parts) < count and (fit := [one for one in left if not parts or one.label != parts[-1].label]):
        parts.append(fit[0])
        left.remove(fit[0])
    return parts


def joined(clips: Sequence[Clip]) -> tuple[np.ndarray, np.ndarray, list[fb.Span]]:
    """Return the rows (T, D) and times (T,) of clips one after the other, and the true span of each stretch."""
    ends = np.cumsum([clip.seconds for clip in clips]).tolist()
    starts = [0.0, *ends[:-1]]
    times = np.concatenate([clip.times + start for clip, start in zip(clips, starts, strict=True)])
    spans = [fb.Span("film", *edges, label=one.label) for one, *edges in zip(clips, starts, ends, strict=True)]
    return np.concatenate([clip.rows for clip in clips]), times, spans


def measure(clips: Sequence[Clip], *, films: int, examples: int, fps: float, seed: int) -> dict[str, Any]:
    """Return R1 of moments and of each window, and the paired differences from the best window, by WINDOWS_OF."""
    rng = np.random.default_rng(seed)
    asked = []
    for film in range(films):
        parts = drawn(clips, int(rng.integers(PARTS[0], PARTS[1] + 1)), rng)
        made = joined(parts)
        for label in sorted({span.label for span in made[2]}):
            others = [one for one in clips if one.label == label and one.source not in {part.source for part in parts}]
            shown = [others[at] for at in rng.permutation(len(others))[:examples]]
            asked.append((film, label, unit(np.mean([one.rows.mean(axis=0) for one in shown], axis=0)[None])[0], made))
    every = np.concatenate([rows for rows, _, _ in {film: made for film, _, _, made in asked}.values()])
    answers: dict[str, dict[str, list[Answer]]] = {told: {} for told in WINDOWS_OF}
    for film, label, query, (rows, times, truth) in asked:
        spans = [span for span in truth if span.label == label]
        ours = track_of("film", rows, times, query, mean_row=every.mean(axis=0))
        plain = track_of("film", rows, times, query)
        found = dict(answered(ours, spans, film=film, step=1 / fps))
        windows = dict(answered(plain, spans, film=film, step=1 / fps))
        for told, given in zip(WINDOWS_OF, ({**windows, "moments": found["moments"]}, found), strict=True):
            for way, answer in given.items():
                answers[told].setdefault(way, []).append(answer)
    return {told: compared(ways) for told, ways in answers.items()}


def cuts(clips: Sequence[Clip], *, films: int, seed: int) -> dict[str, float]:
    """Return how many of the cuts are found, how many of those found are true, and F1; any clip may be next."""
    rng = np.random.default_rng(seed)
    true = given = right = 0
    for _ in range(films):
        parts = [clips[at] for at in rng.permutation(len(clips))[: rng.integers(PARTS[0], PARTS[1] + 1)]]
        rows, times, _ = joined(parts)
        at = np.cumsum([len(part.rows) for part in parts])[:-1]
        found = find_cuts(rows, times)
        true, given, right = true + len(at), given + len(found), right + len(np.intersect1d(at, found))
    f1 = 2 * right / (true + given)
    return {"cuts": true, "recall": right / true, "precision": right / max(given, 1), "f1": f1}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--films", default=50, help="How many.")
@click.option("--fps", default=4.0, help="Rows of a second.")
@click.option("--seed", default=1, help="Draws the films.")
@click.option("--groups", type=click.Choice(["all", "even", "odd"]), default="all", help="Which sources, by number.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(folder: Path, films: int, fps: float, seed: int, groups: str, json_path: Path | None) -> None:
    """Measure and print a table."""
    clips = clips_of(folder, fps=fps)
    if groups != "all":
        clips = [one for one in clips if int(one.source.rsplit("_g", 1)[-1]) % 2 == (groups == "odd")]
    found: dict[str, Any] = {"films": films, "fps": fps, "seed": seed, "clips": len(clips), "sources": groups}
    found["shots"] = shown = cuts(clips, films=films, seed=seed)
    shares = f"{100 * shown['recall']:.1f} % are found, {100 * shown['precision']:.1f} % of those found are true"
    print(f"{shown['cuts']} cuts: {shares} (F1 {100 * shown['f1']:.1f})")
    print("\n| examples | way | R1@0.3 | R1@0.5 | R1@0.7 | median error of a boundary |\n|---|---|---|---|---|---|")
    for examples in EXAMPLES:
        made = measure(clips, films=films, examples=examples, fps=fps, seed=seed)
        found[f"moments by {examples}"] = made
        for told, ways in made.items():
            for way, row in ways["ways"].items():
                if way == "moments" and told != WINDOWS_OF[0]:
                    continue
                rights = " | ".join(f"{100 * row[f'R1@{least}']:.1f}" for least in (0.3, 0.5, 0.7))
                name = way if way == "moments" else f"{way}, {told}"
                print(f"| {examples} ({ways['queries']}) | {name} | {rights} | {row['boundary']:.2f} s |")
        for told, ways in made.items():
            for least in (0.5, 0.7):
                more = ways[f"more than the best window at {least}"]
                low, high = (100 * end for end in more["interval"])
                points = f"{100 * more['difference']:+.1f} points ({low:.1f} to {high:.1f})"
                print(f"| | at {least} | {points} against {more['window']}, {told} | | | |")
    if json_path:
        json_path.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
