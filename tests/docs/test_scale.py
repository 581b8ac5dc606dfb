"""docs/scale.md: every figure in its tables follows from the measured rates and its formulas."""

import re
from pathlib import Path

import faiss
import numpy as np
import pytest

from framebank.extract.cluster import cluster, slices
from framebank.extract.cluster import remote_worker as remote
from framebank.store import ShardWriter
from framebank.tests.places import ROOT
from framebank.tests.worlds.store import DIM, SPEC, embeddings

DOCS = ROOT / "docs"
PAGE = (DOCS / "scale.md").read_text(encoding="utf-8")
BENCHMARKS = (DOCS / "benchmarks.md").read_text(encoding="utf-8")

VIDEOS = {"Kinetics-400": 300_000, "Kinetics-700": 650_000, "100 million": 100_000_000}
T, D, L, MEASURED_L = 16, 512, 300, 163
DECODE_RATE, ENCODE_RATE = 402, 112.7  # frames/s on 2 cores
ASSUMED_GPU_RATE = 2_000
DECODE = 2 * 16 / DECODE_RATE * L / MEASURED_L  # core seconds a video
ENCODE = 2 * T / ENCODE_RATE
VIDEO_BYTES = 61


def table(head: str) -> dict[str, list[str]]:
    """The rows of the table whose first line begins so, by their first cell."""
    lines = PAGE[PAGE.index(f"| what | {head}") :].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    end = next(number for number, line in enumerate(lines) if not line.startswith("|"))
    return {row[0]: row[1:] for row in rows[:end]}


def shown(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def test_the_rates_are_those_that_were_measured() -> None:
    row = next(line for line in BENCHMARKS.splitlines() if line.startswith("| ViT-B-32"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert (float(cells[2]), float(cells[3]), cells[8]) == (DECODE_RATE, ENCODE_RATE, "0.97")
    assert "16 segment centres" in BENCHMARKS and "2 CPU cores" in BENCHMARKS
    rates = table("figure")
    assert rates["decoding and preparing for ViT-B-32"] == [f"{DECODE_RATE} frames/s on 2 cores"]
    assert rates["encoding by ViT-B-32 in bf16"] == [f"{ENCODE_RATE} frames/s on 2 cores"]
    assert rates["encoding by a GPU"] == ["not yet measured"]
    assert "| opening the store | 0.8 s |" in BENCHMARKS and "239\nshards" in BENCHMARKS
    assert rates["opening a store"] == ["0.8 s for 239 shards"]
    assert f"(2 x 16 / {DECODE_RATE}) x (L / {MEASURED_L})" in PAGE and f"2 x T / {ENCODE_RATE}" in PAGE
    assert f"{shown(2 * 16 / DECODE_RATE, 2)} s x L" in PAGE and f"{shown(ENCODE, 2)} s with T = 16" in PAGE


def test_videos_hours_bytes() -> None:
    rows = table("videos")
    for name, videos in VIDEOS.items():
        core_hours = videos * (DECODE + ENCODE) / 3600
        assert rows.pop(name) == [
            f"{videos:,}",
            shown(videos * DECODE / 3600, 1),
            shown(videos * ENCODE / 3600, 1),
            shown(core_hours / (4 * 16), 2),
            shown(core_hours / (64 * 16), 2),
            shown(videos * (T * (2 * D + 32) + VIDEO_BYTES) / 1e9, 1),
        ]
    assert not rows


def test_gpu_hours_at_a_rate_that_is_said_to_be_assumed() -> None:
    assert f"an **assumed** {ASSUMED_GPU_RATE:,} frames a second" in PAGE
    rows = table("GPU hours")
    for name, videos in VIDEOS.items():
        hours, cores = videos * T / ASSUMED_GPU_RATE / 3600, ASSUMED_GPU_RATE / T * DECODE
        assert rows.pop(name) == [shown(hours, 2), shown(cores, 0)]
    assert list(rows) == ["yours"]


def test_the_index() -> None:
    rows = table("flat on disk")
    for name, videos in VIDEOS.items():
        flat = videos * D * 4 / 1e9
        sizes = (flat, 4.2 * flat, videos * (4 * D + 8) / 1e9, videos * (64 + 8) / 1e9)
        assert rows.pop(name) == [shown(size, 1) for size in sizes]
    assert not rows


def test_a_billion_frames() -> None:
    rows = table("bytes a row")
    assert rows.pop("the store") == ["1,056", "1,056"] == [f"{2 * D + 32:,}"] * 2
    each = {"rows.faiss": 2 * D, "near.faiss` of type sq8": D + 8, "near.faiss` of type ivfpq": 64 + 8, "seconds": 16}
    for (name, cells), (begins, size) in zip(rows.items(), each.items(), strict=True):
        assert name.lstrip("`").startswith(begins)
        assert cells == [f"{size:,}", f"{size:,}"]  # of 10^9 rows, in units of 10^9 bytes
    part = 20e6
    told = (2 * D * part / 1e9, (64 + 8) * part / 1e9, 16 * part / 1e9, 1e9 / part, 1e9 / T / 1e6)
    assert [shown(value, 1) for value in told] == ["20.5", "1.4", "0.3", "50.0", "62.5"]


def test_a_store_of_many_videos() -> None:
    assert shown(300_000 * (290 + 510) / 1e9, 1) == "0.2" and 100e6 * (290 + 510) / 1e9 == 80
    seconds_a_shard = 0.8 / 239
    assert round(seconds_a_shard * 1e3) == 3
    assert round(100e6 / 512 * seconds_a_shard / 60) == 11 and round(1e6 / 512 * seconds_a_shard) == 7
    for said in ("That is 0.2 GB", "it would be 80 GB", "11 minutes", "(0.8 GB, 7 s)"):
        assert said in " ".join(PAGE.split())


def test_the_bytes_of_a_store_are_those_of_a_store(tmp_path: Path) -> None:
    rows = 16
    with ShardWriter(tmp_path, SPEC, max_videos=512, min_seconds=float("inf")) as writer:
        for number in range(512):
            writer.add(f"class_name/v_abcdefgh_{number:08d}", embeddings(rows), decoder="pyav 17.0.0")
    size = (tmp_path / "shard-00000.h5").stat().st_size / 512
    assert size == pytest.approx(rows * (2 * DIM + 32) + VIDEO_BYTES, abs=10)
    assert f"| {VIDEO_BYTES} bytes |" in PAGE and "| 2 D + 32 bytes |" in PAGE


def test_the_bytes_of_an_index_are_those_of_faiss() -> None:
    vectors = np.random.default_rng(0).normal(size=(600, D)).astype(np.float32)
    flat = faiss.IndexFlatIP(D)
    coarse = faiss.IndexIVFFlat(flat, D, 2)
    quantised = faiss.IndexIVFPQ(flat, D, 2, 64, 8)
    assert (flat.code_size, coarse.code_size, quantised.code_size) == (4 * D, 4 * D, 64)
    coarse.train(vectors)
    sizes = []
    for count in (100, 500):
        coarse.add(vectors[:count])
        sizes.append(len(faiss.serialize_index(coarse)))
    assert sizes[1] - sizes[0] == 500 * (4 * D + 8)  # the number of each vector takes 8 bytes


def test_the_page_says_what_the_code_does() -> None:
    assert (slices.MIN_SLICE, slices.MAX_SLICE, slices.SLICES_PER_WORKER) == (16, 4096, 4)
    assert "(a quarter of a worker's share, 16 to 4,096 videos)" in PAGE
    assert slices.ATTEMPTS == 3 and "a slice loses three workers" in PAGE
    assert cluster.STARTS == 3 and "three workers in a row" in PAGE
    assert remote.Work.min_seconds == 60.0 and "a shard once a minute, or for each 512 videos" in PAGE
    assert re.search(r"made-up GPUs alone.*no GPU has been timed", PAGE, re.DOTALL)
