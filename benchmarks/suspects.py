"""Suspects: how many changed labels are among the videos whose label is doubted most.

python benchmarks/suspects.py STORE [STORE ...] [--share 0.05] [--seeds 3] [--json FILE]

Of each store, the labels of a share of all labelled videos are changed to another class, drawn by seed. The precision
is that of as many suspects as labels were changed, the average precision is over all videos. The store stays as it is.
"""

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np


@click.command()
@click.argument("stores", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--share", default=0.05)
@click.option("--seeds", default=3)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(stores: tuple[Path, ...], share: float, seeds: int, json_path: Path | None) -> None:
    """Change labels, look for them, and print one line for each seed."""
    rows = []
    for store in stores:
        for seed in range(seeds):
            row = {"store": store.name, "seed": seed, **_measure(store, share, seed)}
            rows.append(row)
            click.echo(
                f"{store.name}, seed {seed}: {row['changed']} of {row['videos']} changed; precision "
                f"{100 * row['precision']:.1f} %, average precision {100 * row['average']:.1f} %; "
                f"{row['suspects']} suspects, {100 * row['of_suspects']:.1f} % of them changed, "
                f"{100 * row['found']:.1f} % of the changed ones among them; confident {row['confident']}, "
                f"{100 * row['of_confident']:.1f} %; the likelier label is the true one in "
                f"{100 * row['suggested']:.1f} %; {row['cpu']:.1f} s of CPU"
            )
    if json_path:
        json_path.write_text(json.dumps({"rows": rows}, indent=1))


def _measure(place: Path, share: float, seed: int) -> dict[str, Any]:
    from framebank.heads.labelling.suspects import doubts, out_of_fold
    from framebank.library.reporting.rows import pooled_videos
    from framebank.store import FeatureStore
    from framebank.store.videos.groups import groups_of

    store = FeatureStore(place)
    videos = [video for video in store.manifest.labelled().videos if video.video_id in store]
    pooled = pooled_videos(store, [video.video_id for video in videos])
    videos = [videos[row] for row in pooled.places.tolist()]
    names, true = np.unique([video.label for video in videos], return_inverse=True)
    rng = np.random.default_rng(seed)
    changed = np.zeros(len(videos), dtype=bool)
    changed[rng.permutation(len(videos))[: round(share * len(videos))]] = True
    target = true.copy()
    target[changed] = (true[changed] + rng.integers(1, len(names), changed.sum())) % len(names)
    groups = groups_of([replace(video, label="") for video in videos])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    best, doubt, confident = doubts(out_of_fold(pooled.vectors, target, groups), target)
    cpu = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    order = np.argsort(-doubt, kind="stable")
    hits = changed[order]
    average = float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())
    likelier = doubt > 0.5
    return {
        "videos": len(videos),
        "changed": int(changed.sum()),
        "precision": float(hits[: changed.sum()].mean()),
        "average": average,
        "suspects": int(likelier.sum()),
        "of_suspects": float(changed[likelier].mean()),
        "found": float(likelier[changed].mean()),
        "confident": int(confident.sum()),
        "of_confident": float(changed[confident].mean()),
        "suggested": float((best[changed] == true[changed]).mean()),
        "cpu": cpu,
    }


if __name__ == "__main__":
    main()
