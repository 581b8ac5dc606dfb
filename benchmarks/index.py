"""What the types of an index cost and find: against faiss itself, under filters, and by size.

python benchmarks/index.py [--rows 100000 --rows 1000000 ...] [--type flat --type ivfpq ...]
    [--part filters ...] [--kept float16] [--json FILE]

The rows are made up: 512 values, in clusters (one for every 100 rows) of clusters (one for every 10 of them), as
embeddings of like videos are; each is a video of its own, with a label, and a column "rank" that filters compare. The
queries are none of the rows. Each type searches the same rows for the same queries, exact search among them.

`against_faiss`: queries a second of `Index.search`, with the hits as objects, by those of the faiss index below it with
the same settings, in turns, at k = 10, for batches of 1 and 64. faiss gives as many candidates as framebank compares
exactly (`ratio`), or 10 (`ratio_k10`), or it compares them too, in an IndexRefineFlat, which gives the same answers
(`ratio_same_answers`). A hit is an object once it is looked at; `ratio_read` is `ratio` if the id, the score and the
label of each hit are read, and `ratio_same_answers_read` is `ratio_same_answers` then. `filters`: 10 %, 2 %, 0.1 % and
one row are left; recall at 10 against brute force over those rows, and the time of a query without the filter's first
evaluation, which stands beside it. `sizes`: recall at 10 against exact search, the time of a query, the bytes that are
searched, seconds to build. It is always measured; `--part sizes` measures nothing else. With `--kept float16` the rows
are kept as an index of a million frames keeps them, which takes 10 GB for 10 million; the comparison with faiss needs
float32. Times of a query are those within which 95 of 100 are answered, one at a time. Other programs on the machine
lengthen the seconds of the clock (`p95`, `build_clock`); those of computing (`p95_computing`, the ratios,
`build_seconds`) they lengthen little. Of exact search, `p95` is what a query takes once codes of 8 bits are in memory,
and `exact_p95` what one takes that reads all rows, as the first ones do.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import faiss
import numpy as np

from framebank.store import FeatureSpec
from framebank.store.indexes.index import Hit, Index
from framebank.store.indexes.nearest import ROUNDED_AFTER
from framebank.store.indexes.searched import Searched
from framebank.store.indexes.structure import build
from framebank.store.indexes.tuning import K, Target, cosines_at, queries_of, recall_of, tune
from framebank.store.vectors import unit
from framebank.store.videos.columns import VideoColumns

WIDTH = 512
TYPES = ("flat", "ivfpq", "sq8", "ivf", "hnsw")
SHARES = (0.1, 0.02, 0.001, 0.0)  # of the rows that a filter leaves; 0 is one row
BATCHES = (1, 64)
RATIOS = ("ratio", "ratio_read", "ratio_k10", "ratio_same_answers", "ratio_same_answers_read")
PARTS = ("against_faiss", "filters", "sizes")
KEPT = ("float32", "float16")
FILTER_QUERIES, TURNS, EXACT_TURNS = 40, 25, 5
SPEC = FeatureSpec(
    model="made-up",
    pretrained="",
    weights_hash="0",
    dim=WIDTH,
    preprocessing="none",
    precision="none",
    sampling="none",
    decoder="none",
)


@click.command()
@click.option("--rows", "sizes", multiple=True, type=int, default=[100_000], help="How many; several times.")
@click.option("--type", "types", multiple=True, type=click.Choice(TYPES), default=TYPES[:4], help="Several times.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), default=PARTS, help="Several times.")
@click.option("--kept", type=click.Choice(KEPT), default=KEPT[0], help="The type of the values of the rows.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    sizes: tuple[int, ...], types: tuple[str, ...], parts: tuple[str, ...], kept: str, json_path: Path | None
) -> None:
    """Measure every type at every size and print tables."""
    if kept == "float16" and "against_faiss" in parts:
        raise click.ClickException("--kept float16 has no comparison with faiss: name the parts, as in --part sizes")
    found: dict[str, Any] = {"width": WIDTH, "threads": faiss.omp_get_max_threads(), "kept": kept}
    found |= {"against_faiss": [], "filters": [], "sizes": []}
    for size in sizes:
        vectors = made_up(size, dtype=np.dtype(kept))
        for kind in types:
            index, told = indexed(vectors, kind)
            found["sizes"].append(told)
            found["filters"] += filters(index, vectors, kind) if "filters" in parts else []
            found["against_faiss"] += against_faiss(index, vectors, kind) if "against_faiss" in parts else []
            click.echo(json.dumps(told))
            if json_path:
                json_path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print_tables(found)


def made_up(count: int, *, dtype: np.dtype, seed: int = 0) -> np.ndarray:
    """Return unit rows (R, D) in clusters of clusters."""
    rng = np.random.default_rng(seed)
    groups = rng.standard_normal((max(1, count // 1000), WIDTH), dtype=np.float32)
    clusters = np.repeat(groups, 10, axis=0) + 0.7 * rng.standard_normal((10 * len(groups), WIDTH), dtype=np.float32)
    rows = np.empty((count, WIDTH), dtype=dtype)
    for first in range(0, count, 100_000):
        own = rng.integers(0, len(clusters), size=min(100_000, count - first))
        noise = rng.standard_normal((len(own), WIDTH), dtype=np.float32)
        rows[first : first + len(own)] = unit(clusters[own] + 0.7 * noise)
    return rows


def indexed(vectors: np.ndarray, kind: str) -> tuple[Index, dict[str, Any]]:
    """Return an index of one type, and what was measured of it."""
    count = len(vectors)
    ids = [f"{row:08d}" for row in range(count)]
    order = np.random.default_rng(1).permutation(count)
    names = [f"label {number}" for number in range(400)]  # a text for each label, as a list has that is read
    labels, extra = [names[row % 400] for row in range(count)], {"rank": [str(rank) for rank in order.tolist()]}
    columns = VideoColumns(ids, [f"videos/{name}.mp4" for name in ids], labels, [""] * count, extra=extra)
    index = Index(vectors[:1], columns[:1], spec=SPEC, made_by={"head": "mean"})
    index.own_vectors = vectors
    index._take(columns, index.enrolment)
    began = time.perf_counter(), time.process_time()
    near = None if kind == "flat" else build(vectors, kind)
    clock, seconds = time.perf_counter() - began[0], time.process_time() - began[1]
    near, measured = tune(near, vectors, Target(kind))
    index.searched = Searched(near=near, asked=Target(kind), measured=measured)
    timed(index, queries_of(vectors, seed=3, count=2 * ROUNDED_AFTER))
    times = timed(index, queries_of(vectors, seed=4, count=100))[1]
    told = {
        **measured.to_dict(),
        **times,
        "build_seconds": seconds,
        "build_clock": clock,
        "settings": dict(near.settings) if near else {},
    }
    return index, told


def against_faiss(index: Index, vectors: np.ndarray, kind: str) -> list[dict[str, Any]]:
    """Return the ratio of queries a second to those of the faiss index below, for each batch."""
    near = index.searched.near
    base: Any = near.base if near else faiss.IndexFlatIP(WIDTH)
    if near:
        faiss.ParameterSpace().set_index_parameter(base, near.knob, near.settings[near.knob])
    else:
        base.add(vectors)
    refined = refined_of(base, vectors, near.settings["factor"]) if near and kind != "ivf" else base
    told = []
    for batch in BATCHES:
        queries = queries_of(vectors, seed=5, count=64)
        parts = [queries[first : first + batch] for first in range(0, 64, batch)]
        asked = K if near is None else K * near.settings["factor"]
        ways = {
            "framebank": lambda parts=parts: [index.search(part, K) for part in parts],
            "read": lambda parts=parts: [read(index.search(part, K)) for part in parts],
            "faiss": lambda parts=parts, asked=asked: [base.search(part, asked) for part in parts],
            "faiss_k10": lambda parts=parts: [base.search(part, K) for part in parts],
            "refined": lambda parts=parts: [refined.search(part, K) for part in parts],
        }
        seconds = in_turns(ways, turns=EXACT_TURNS if near is None else TURNS)
        about = {"rows": len(vectors), "type": kind, "batch": batch, "candidates": asked}
        ratios = {
            "ratio": seconds["faiss"] / seconds["framebank"],
            "ratio_read": seconds["faiss"] / seconds["read"],
            "ratio_k10": seconds["faiss_k10"] / seconds["framebank"],
            "ratio_same_answers": seconds["refined"] / seconds["framebank"],
            "ratio_same_answers_read": seconds["refined"] / seconds["read"],
        }
        told.append({**about, **ratios, **{f"{name}_per_second": 64 / value for name, value in seconds.items()}})
    return told


def refined_of(base: Any, vectors: np.ndarray, factor: int) -> Any:
    """Return the faiss index that compares `factor` times k candidates of another with the vectors."""
    refined = faiss.IndexRefineFlat(base, faiss.swig_ptr(vectors))
    refined.k_factor = factor
    return refined


def read(found: Sequence[Sequence[Hit]]) -> list[list[tuple[str, float, str]]]:
    """Return what each hit says."""
    return [[(hit.video_id, hit.score, hit.label) for hit in hits] for hits in found]


def in_turns(ways: dict[str, Callable[[], object]], *, turns: int) -> dict[str, float]:
    """Return the median seconds of computing of each way, which take turns after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            began = time.process_time()
            way()
            if turn:
                seconds[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def filters(index: Index, vectors: np.ndarray, kind: str) -> list[dict[str, Any]]:
    """Return recall and time of searches among the rows that each filter leaves."""
    count = len(vectors)
    ranks = np.array([int(rank) for rank in index.own.extra["rank"]])  # type: ignore[index]
    told = []
    for share in SHARES:
        left = max(1, round(share * count))
        began = time.perf_counter()
        among = np.zeros(count, dtype=bool)
        among[index.rows_fitting(f"rank < {left}")] = True
        first = time.perf_counter() - began
        assert among.sum() == left
        queries = queries_of(vectors, seed=6, count=FILTER_QUERIES)
        rows = np.flatnonzero(ranks < left)
        k = min(K, left)
        truth = rows[np.argsort(-(queries @ vectors[rows].T), axis=1)[:, :k]]
        hits, times = timed(index, queries, among)
        recall = recall_of(*(cosines_at(vectors, queries, np.array(own)) for own in (hits, truth)))
        told.append({"rows": count, "type": kind, "left": left, "recall": recall, **times, "first": first})
    return told


def timed(
    index: Index, queries: np.ndarray, among: np.ndarray | None = None
) -> tuple[list[list[int]], dict[str, float]]:
    """Return the hits of each query, as rows, and the seconds of 95 of 100 queries: of the clock, and of computing."""
    hits, clock, computing = [], [], []
    for query in queries:
        began = time.perf_counter(), time.process_time()
        found = index.search(query[None], K, among=among)[0]
        clock.append(time.perf_counter() - began[0])
        computing.append(time.process_time() - began[1])
        hits.append([int(hit.video_id) for hit in found])
    return hits, {"p95": float(np.quantile(clock, 0.95)), "p95_computing": float(np.quantile(computing, 0.95))}


def print_tables(found: dict[str, Any]) -> None:
    """Print the three tables in Markdown."""
    header = "| rows | type | recall@10 | p95 | of it computing | bytes a row | build | of it computing |"
    click.echo(f"\n{header}\n|---|---|---|---|---|---|---|---|")
    for one in found["sizes"]:
        told = f"{one['recall']:.3f} | {_times(one)} | {one['bytes'] / one['rows']:,.0f} | {_build(one)}"
        click.echo(f"| {one['rows']:,} | {one['type']} | {told} |")
    names = "framebank / faiss | hits read | faiss with k = 10 | faiss, same answers | hits read"
    header = f"| rows | type | batch | {names} |"
    click.echo(f"\n{header}\n|---|---|---|---|---|---|---|---|")
    for one in found["against_faiss"]:
        ratios = " | ".join(f"{one[name]:.2f}" for name in RATIOS)
        click.echo(f"| {one['rows']:,} | {one['type']} | {one['batch']} | {ratios} |")
    header = "| rows | type | left | recall@10 | p95 | of it computing | filter, first time |"
    click.echo(f"\n{header}\n|---|---|---|---|---|---|---|")
    for one in found["filters"]:
        told = f"{one['recall']:.3f} | {_times(one)} | {one['first']:.2f} s"
        click.echo(f"| {one['rows']:,} | {one['type']} | {one['left']:,} | {told} |")


def _build(one: dict[str, Any]) -> str:
    return f"{one['build_clock']:.0f} s | {one['build_seconds']:.0f} s"


def _times(one: dict[str, Any]) -> str:
    return f"{1000 * one['p95']:.1f} ms | {1000 * one['p95_computing']:.1f} ms"


if __name__ == "__main__":
    main()
