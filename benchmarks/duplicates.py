"""Copies that are known against those that `framebank duplicates` finds, and the time that a large store takes.

    python benchmarks/duplicates.py --videos FOLDER --json duplicates.json

ffmpeg copies the videos of FOLDER, or clips of the demo if none is given: encoded again at half the width, cropped by
10 %, at speeds of 0.9 and 1.1, mirrored, and three seconds of each in films of five such excerpts. The encoder of the
demo embeds originals and copies at `--fps` rows a second, into two stores. A found pair is right if it overlaps a true
one by half on both sides (IoU); its score orders the list of the average precision. The overlap is the IoU of the right
pairs, the mean of both sides. `--known A=B` names two originals that share a recording: pairs of them count as neither.

The large store has 10,000 videos of 60 rows at 2 rows a second. Each is a random walk about a place of its own; 200 are
copies of others, with noise. The time is that of `CopyFinder` and all of its copies, with two threads.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

KINDS = {
    "encoded again": "scale=trunc(iw/4)*2:trunc(ih/4)*2",
    "cropped by 10 %": "crop=trunc(iw*0.45)*2:trunc(ih*0.45)*2",
    "speed 0.9": "setpts=PTS/0.9",
    "speed 1.1": "setpts=PTS/1.1",
    "mirrored": "hflip",
}
EXCERPT, SECONDS, PARTS = "3 s in a film", 3.0, 5

# The original, the copy, the kind, and from where to where in the original and in the copy.
True_ = tuple[str, str, str, tuple[float, float], tuple[float, float]]


def copied(sources: Sequence[Path], folder: Path, *, each: int) -> Iterator[True_]:
    """Write the copies; yield the true pairs. Every source has `each` of KINDS, in turn."""
    lengths = {path: seconds_of(path) for path in sources}
    for number, path in enumerate(sources):
        for turn in range(each):
            kind = list(KINDS)[(number + turn) % len(KINDS)]
            copy = folder / f"copy_{number:03d}_{turn}.mp4"
            encode(["-i", str(path), "-vf", KINDS[kind]], copy)
            yield path.stem, copy.stem, kind, (0.0, lengths[path]), (0.0, seconds_of(copy))
    rng = np.random.default_rng(0)
    long_enough = [path for path in sources if lengths[path] > SECONDS + 0.5]
    for film, first in enumerate(range(0, len(long_enough) - PARTS + 1, PARTS)):
        copy, inputs = folder / f"film_{film:03d}.mp4", []
        for part, path in enumerate(long_enough[first : first + PARTS]):
            start = float(np.round(rng.uniform(0, lengths[path] - SECONDS), 2))
            inputs += ["-ss", f"{start}", "-t", f"{SECONDS}", "-i", str(path)]
            at = part * SECONDS
            yield path.stem, copy.stem, EXCERPT, (start, start + SECONDS), (at, at + SECONDS)
        same = "".join(f"[{n}:v]scale=320:240,setsar=1,fps=25[v{n}];" for n in range(PARTS))
        joined = f"{same}{''.join(f'[v{n}]' for n in range(PARTS))}concat=n={PARTS}:v=1[o]"
        encode([*inputs, "-filter_complex", joined, "-map", "[o]"], copy)


def encode(arguments: Sequence[str], path: Path) -> None:
    """Run ffmpeg."""
    tail = ["-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "28", "-threads", "1", str(path)]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, *tail], check=True)


def seconds_of(path: Path) -> float:
    """Return the length of a video."""
    asked = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]
    return float(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)


def overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the IoU of two stretches."""
    both = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    return both / (one[1] - one[0] + other[1] - other[0] - both)


def judged(found: Sequence[Any], truth: Sequence[True_], known: set[frozenset[str]]) -> dict[str, Any]:
    """Return the average precision, the overlap, and both by kind, of pairs that are the surest first."""
    source_of = {copy: original for original, copy, kind, *_ in truth if kind != EXCERPT}
    films: dict[str, set[str]] = {}
    for original, copy, *_ in truth:
        films.setdefault(copy, set()).add(original)
    open_ones = list(truth)
    hits, wrong, precision = 0, 0, 0.0
    kinds: dict[str, list[float]] = {kind: [] for kind in (*KINDS, EXCERPT)}
    for pair in found:
        a, b = (span.video_id.rsplit("/", 1)[-1] for span in (pair.a, pair.b))
        spans = (pair.a.start, pair.a.end), (pair.b.start, pair.b.end)
        near = [
            (overlap(spans[0], one), overlap(spans[1], other), number)
            for number, (original, copy, _, one, other) in enumerate(open_ones)
            if (original, copy) == (a, b)
        ]
        best = max(near, key=lambda each: min(each[:2]), default=None)
        if best and min(best[:2]) >= 0.5:
            hits += 1
            precision += hits / (hits + wrong)
            kinds[open_ones.pop(best[2])[2]].append(sum(best[:2]) / 2)
        elif not any(frozenset((a, one)) in known for one in {source_of.get(b, b), *films.get(b, ())}):
            wrong += 1
    every = [each for ones in kinds.values() for each in ones]
    counts = {kind: sum(one[2] == kind for one in truth) for kind in kinds}
    return {
        "pairs": len(truth),
        "average precision": precision / len(truth),
        "overlap": float(np.mean(every)),
        "kinds": {
            kind: {"pairs": counts[kind], "found": len(ones), "overlap": float(np.mean(ones)) if ones else None}
            for kind, ones in kinds.items()
        },
    }


def known_copies(videos: Path | None, *, each: int, fps: float, known: set[frozenset[str]]) -> dict[str, Any]:
    """Make the copies, embed both folders and judge what is found, at any score and at the default one."""
    import framebank as fb

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if videos is None:
            from framebank.demo.clips import render_clips

            videos = folder / "clips"
            list(render_clips(videos, num_train=4, num_test=2))
        sources = sorted(path for path in videos.rglob("*") if path.suffix in (".avi", ".mp4"))
        (folder / "copies").mkdir()
        truth = list(copied(sources, folder / "copies", each=each))
        stores = [
            fb.extract(path, folder / f"store-{path.name}", model="demo", fps=fps, workers=1)
            for path in (videos, folder / "copies")
        ]
        found = fb.duplicates(*stores, least=0.02)
        made = judged(found, truth, known)
        usual = [pair for pair in found if pair.score >= 0.5]
        return {**made, "listed by default": len(usual), "alone": len(fb.duplicates(stores[0]))}


def large(videos: int, *, rows: int = 60, dim: int = 512) -> dict[str, Any]:
    """Return the seconds in which the copies of a large store are found, and how many of those there are."""
    from framebank.heads.copies.find import CopyFinder
    from framebank.heads.copies.rows import PackedRows
    from framebank.store.vectors import unit

    rng = np.random.default_rng(0)
    count = videos // 50
    packed = np.empty((videos, rows, dim), dtype=np.float32)
    for video in packed:
        steps = rng.normal(size=(rows, dim)).astype(np.float32)
        video[:] = unit(rng.normal(size=dim) + 0.25 * steps.cumsum(axis=0) + 0.2 * rng.normal(size=(rows, dim)))
    sources = rng.permutation(videos - count)[:count]
    packed[videos - count :] = unit(packed[sources] + 0.3 * unit(rng.normal(size=(count, rows, dim))))
    packs = PackedRows.of([(each, (np.arange(rows) + 0.5) / 2) for each in packed])
    began, used = time.perf_counter(), time.process_time()
    finder = CopyFinder.of(packs)
    copies = [copy for a, b in finder.pairs.tolist() for copy in finder.copies(a, b, least=0.5)]
    took, work = time.perf_counter() - began, time.process_time() - used
    true = set(zip(sources.tolist(), range(videos - count, videos), strict=True))
    right = len({(copy.first, copy.second) for copy in copies} & true)
    found = {
        "videos": videos,
        "rows": rows,
        "seconds": took,
        "processor seconds": work,
        "candidates": len(finder.pairs),
    }
    return {**found, "copies": count, "found": right, "listed": len(copies)}


@click.command()
@click.option("--videos", type=click.Path(path_type=Path, exists=True), help="Originals; clips of the demo if none.")
@click.option("--each", default=1, help="Copies of each original, beside the excerpt.")
@click.option("--fps", default=4.0, help="Rows of a second.")
@click.option("--known", multiple=True, metavar="A=B", help="Originals that share a recording.")
@click.option("--large", "num_large", default=10_000, help="Videos of the large store; 0 for none.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    videos: Path | None, each: int, fps: float, known: tuple[str, ...], num_large: int, json_path: Path | None
) -> None:
    """Measure and print two tables."""
    figures: dict[str, Any] = {}
    if num_large:
        figures["large"] = found = large(num_large)
        print("| videos | rows of each | seconds | copies | found | listed |\n|---|---|---|---|---|---|")
        shown = ("videos", "rows", "seconds", "copies", "found", "listed")
        print(f"| {' | '.join(f'{found[name]:.4g}' for name in shown)} |")
        print(f"processor seconds {found['processor seconds']:.1f}, candidates {found['candidates']}\n")
    figures["copies"] = made = known_copies(
        videos, each=each, fps=fps, known={frozenset(pair.split("=")) for pair in known}
    )
    print("| copy | pairs | found | overlap |\n|---|---|---|---|")
    for kind, row in made["kinds"].items():
        iou = f"{row['overlap']:.3f}" if row["found"] else ""
        print(f"| {kind} | {row['pairs']} | {row['found']} | {iou} |")
    print(f"average precision {made['average precision']:.3f}, overlap {made['overlap']:.3f}")
    print(f"listed by default: {made['listed by default']}, and {made['alone']} among the originals alone")
    if json_path:
        json_path.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
