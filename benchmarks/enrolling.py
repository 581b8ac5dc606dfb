"""How often videos of a class that nobody named are called unknown, and videos of known classes wrongly are.

python benchmarks/enrolling.py STORE [--shots 5] [--neighbours 10] [--share 0.05 ...] [--seed 0] [--json FILE]

STORE has the splits train, val and test. Each class in turn is the unknown one: no video of it is in the index, among
the examples or among those that set the thresholds. The class behind it is enrolled by a few training videos, the index
holds the training videos of all others, and the test videos of three classes are asked: of the unknown one, of the
enrolled one, and of the one behind that, which the index holds. So each test video is asked once in each part. The
thresholds are set by the index itself and by the val videos, which `framebank calibrate` does. Intervals are Wilson's.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from framebank.store import FeatureStore, Manifest
    from framebank.store.indexes.index import Index

PARTS = ("unknown", "enrolled", "indexed")
# What the videos of a part are called -> the column of the table.
COLUMNS = {
    ("unknown", "unknown"): "unknown: called so",
    ("unknown", "enrolled"): "taken for the enrolled class",
    ("enrolled", "enrolled"): "enrolled: called so",
    ("enrolled", "unknown"): "called unknown",
    ("indexed", "indexed"): "indexed: called so",
    ("indexed", "unknown"): "called unknown",
    ("indexed", "enrolled"): "taken for the enrolled class",
}


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--shots", default=5, help="Videos by which a class is enrolled.")
@click.option("--neighbours", default=10, help="Videos that vote.")
@click.option("--share", "shares", multiple=True, default=[0.02, 0.05, 0.2], help="Of other videos that may pass.")
@click.option("--seed", default=0, help="Draws the examples.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the counts to this file.")
def main(
    store: Path, shots: int, neighbours: int, shares: tuple[float, ...], seed: int, json_path: Path | None
) -> None:
    """Ask every test video in every part, and print a row for each source and share."""
    from framebank.heads.labelling.answers import answers_of_index, decide
    from framebank.heads.metrics import wilson_interval
    from framebank.store import FeatureStore

    features = FeatureStore(store)
    labels = features.manifest.labels
    counts: dict[tuple[str, float], Counter[tuple[str, str]]] = {}
    strangers: dict[tuple[str, float], list[str]] = {}  # how many of the videos of each class are called unknown
    for number, stranger in enumerate(labels):
        enrolled, indexed = (labels[(number + step) % len(labels)] for step in (1, 2))
        part_of = dict(zip((stranger, enrolled, indexed), PARTS, strict=True))
        asked = [video for video in features.manifest.split("test").videos if video.label in part_of]
        for source, share, index in worlds(features, stranger, enrolled, shots=shots, shares=shares, seed=seed):
            row = Counter[tuple[str, str]]()
            for video in asked:
                name, _ = decide(answers_of_index(index, features[video.video_id], k=neighbours))
                called = name if name == "unknown" else part_of.get(name, "another")
                row[part_of[video.label], called] += 1
            total = sum(count for (part, _), count in row.items() if part == "unknown")
            told = f"{stranger} {row['unknown', 'unknown']} of {total}"
            strangers.setdefault((source, share), []).append(told)
            counts.setdefault((source, share), Counter()).update(row)
    print(f"| thresholds by | share | {' | '.join(COLUMNS.values())} |")
    print(f"|---|---|{'---|' * len(COLUMNS)}")
    for (source, share), row in counts.items():
        cells = []
        for part, called in COLUMNS:
            hits, total = row[part, called], sum(count for (own, _), count in row.items() if own == part)
            low, high = wilson_interval(hits, total)
            cells.append(f"{100 * hits / total:.1f} % ({100 * low:.1f}-{100 * high:.1f})")
        print(f"| {source} | {100 * share:g} % | {' | '.join(cells)} |")
    for (source, share), told_of in strangers.items():
        print(f"\ncalled unknown, by {source}, {100 * share:g} %: {', '.join(told_of)}")
    if json_path:
        rows = [
            {"source": source, "share": share, "part": part, "called": called, "videos": count}
            for (source, share), row in counts.items()
            for (part, called), count in sorted(row.items())
        ]
        json_path.write_text(json.dumps(rows, indent=1))


def worlds(
    store: "FeatureStore", stranger: str, enrolled: str, *, shots: int, shares: tuple[float, ...], seed: int
) -> "Iterator[tuple[str, float, Index]]":
    """Yield an index without a class, another enrolled, under each calibration: by what, the share and the index."""
    import torch

    from framebank.heads.labelling.calibrate import calibrate, held_out
    from framebank.heads.labelling.enroll import enroll
    from framebank.heads.labelling.neighbours import index_store, pool_query
    from framebank.store.indexes.enrolment import Calibration

    cpu = torch.device("cpu")
    train = chosen(store.manifest.split("train"), without=(stranger,))
    own = index_store(store, chosen(train, without=(stranger, enrolled)), run=None, run_path=None, device=cpu)
    examples = [video for video in train.few_shot(shots, seed=seed).videos if video.label == enrolled]
    val = chosen(store.manifest.split("val"), without=(stranger,))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "index"
        own.save(folder)
        vectors = [pool_query(own, store[video.video_id])[0] for video in examples]
        index = type(own).load(folder)
        index = enroll(folder, enrolled, list(zip(examples, vectors, strict=True)), index=index)
        for share in shares:
            yield "the index", share, calibrate(folder, Calibration(share))
            by_val: Any = held_out(index, store, val, split="val", share=share, device=cpu)
            yield "held-out videos", share, calibrate(folder, by_val)


def chosen(manifest: "Manifest", *, without: tuple[str, ...]) -> "Manifest":
    """Return the videos of all classes but some."""
    from framebank.store import Manifest

    return Manifest(tuple(video for video in manifest.videos if video.label not in without))


if __name__ == "__main__":
    main()
