"""Mutated videos through one extraction, and what came of each; run as a module it tries as many as asked.

Every video must be embedded or named in failed.csv with a reason; of an embedded one, the chosen frames and their times
are those of a full decode of the same mutated file, and so are their pixels, unless damage was concealed in it: what
FFmpeg paints there differs from one decode on several threads to the next. No decoding process may take over 1 GB.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from framebank.extract.decoders.decode import read_frames
from framebank.extract.decoders.pixels import Reading
from framebank.extract.sampling import segment_indices
from framebank.store import FeatureStore
from framebank.tests.worlds.decode import DATA, SAMPLES

SOURCES = [*sorted(DATA.glob("ucf101-mini/*/*.avi")), *SAMPLES]
ROWS = 8
AS_CODED = Reading(square=False)
LARGEST_WORKER = 1 << 30
OUTCOMES = ("refused", "as the original", "other frames or pixels", "fault")


def flip(content: bytes, rng: random.Random) -> bytes:
    """Change some bits, up to a hundred."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 3, 10, 100])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def zero(content: bytes, rng: random.Random) -> bytes:
    """Put zeros over a block."""
    start, end = _block(content, rng)
    return content[:start] + bytes(end - start) + content[end:]


def noise(content: bytes, rng: random.Random) -> bytes:
    """Put noise over a block."""
    start, end = _block(content, rng)
    return content[:start] + rng.randbytes(end - start) + content[end:]


def cut(content: bytes, rng: random.Random) -> bytes:
    """Lose the end."""
    return content[: rng.randrange(1, len(content))]


def repeat(content: bytes, rng: random.Random) -> bytes:
    """Have a block twice."""
    start, end = _block(content, rng)
    return content[:end] + content[start:]


def remove(content: bytes, rng: random.Random) -> bytes:
    """Lose a block."""
    start, end = _block(content, rng)
    return content[:start] + content[end:]


def append(content: bytes, rng: random.Random) -> bytes:
    """Have something behind the end."""
    return content + rng.choice([bytes(3000), rng.randbytes(3000), b"a note\n" * 40, b"ID3\3" + bytes(124)])


MUTATIONS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bits changed": flip,
    "a block of zeros": zero,
    "a block of noise": noise,
    "cut": cut,
    "a block twice": repeat,
    "a block lost": remove,
    "something behind": append,
}


def _block(content: bytes, rng: random.Random) -> tuple[int, int]:
    length = min(rng.choice([16, 188, 512, 4096, 32768]), len(content) // 2)
    start = rng.randrange(len(content) - length)
    return start, start + length


@dataclass(frozen=True)
class Case:
    """One mutated file, and what came of it: one of OUTCOMES, and why."""

    path: Path
    source: Path
    mutation: str
    outcome: str = ""
    said: str = ""


@dataclass(frozen=True)
class Decoded:
    """What a full decode gives: seconds of all frames (total,), some pictures by index, why a packet did not decode."""

    times: np.ndarray
    pictures: dict[int, np.ndarray]
    error: str


def write_cases(folder: Path, *, count: int, seed: int = 0) -> list[Case]:
    """Write mutated files, all mutations in turn; the seed and the number of a file say what it becomes."""
    cases = []
    for number in range(count):
        rng = random.Random(f"{seed}:{number}")
        name = list(MUTATIONS)[number % len(MUTATIONS)]
        source = rng.choice(SOURCES) if number % 2 else rng.choice(SAMPLES)
        path = folder / f"{number:04}_{source.name}"
        path.write_bytes(MUTATIONS[name](source.read_bytes(), rng))
        cases.append(Case(path, source, name))
    return cases


def extract(folder: Path, store: Path) -> tuple[dict[str, object], int]:
    """Run one extraction over a folder; return its report, and the most bytes that one process below it took."""
    command = ["-c", "from framebank.cli import main; main()", "extract", str(folder), str(store)]
    options = ["--model", "demo", "--frames", str(ROWS), "--workers", "2", "--time-limit", "60", "--json"]
    largest: dict[int, int] = {}
    with subprocess.Popen([sys.executable, *command, *options], stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            for worker in _below(process.pid):
                largest[worker] = max(largest.get(worker, 0), _peak_bytes(worker))
            time.sleep(0.05)
        assert process.stdout
        output = process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"extract ended with {process.returncode}")
    report: dict[str, object] = json.loads(output)
    return report, max(largest.values())


def _below(pid: int) -> set[int]:
    """Return the processes that a process has started, and those that these have."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(task).split():
            found |= {int(child)} | _below(int(child))
    return found


def _peak_bytes(pid: int) -> int:
    peak = [line.split()[1] for line in _read(Path(f"/proc/{pid}/status")).splitlines() if line.startswith("VmHWM")]
    return int(peak[0]) * 1024 if peak else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:  # the process has ended
        return ""


def judge(case: Case, store: FeatureStore, failed: dict[str, str]) -> Case:
    """Return what came of a case."""
    video_id = case.path.stem
    if video_id in failed:
        said = failed[video_id].removeprefix(f"{case.path}: ")
        is_clear = failed[video_id].startswith(f"{case.path}: ") and "\n" not in said and "Error" not in said
        return _told(case, "refused" if is_clear else "fault", said)
    if video_id not in store:
        return _told(case, "fault", "neither embedded nor in failed.csv")
    rows = store[video_id]
    whole, original = (decode_all(path, wanted=set(rows.indices.tolist())) for path in (case.path, case.source))
    if whole.error:  # in what reading from key frames skips
        there = np.abs(whole.times[:, None] - rows.timestamps).min(axis=0) < 1e-6  # (R,)
        return _told(case, OUTCOMES[2] if there.all() else "fault", f"a full decode meets: {whole.error}")
    if rows.indices.tolist() != segment_indices(len(whole.times), ROWS).tolist():
        return _told(case, "fault", f"frames {rows.indices.tolist()} of {len(whole.times)}")
    if not np.allclose(rows.timestamps, whole.times[rows.indices], atol=1e-6):
        return _told(case, "fault", f"times {rows.timestamps.tolist()}, not {whole.times[rows.indices].tolist()}")
    said = f"{len(whole.times)} of {len(original.times)} frames"
    if len(whole.times) != len(original.times) or not _alike(whole.pictures, original.pictures):
        return _told(case, OUTCOMES[2], said)
    read = read_frames(case.path, rows.indices, reading=AS_CODED)
    if not _alike(dict(zip(rows.indices.tolist(), read.data, strict=True)), whole.pictures):
        return _told(case, "fault", "the pixels are not those of a full decode")
    return _told(case, OUTCOMES[1], said)


def _alike(pictures: dict[int, np.ndarray], others: dict[int, np.ndarray]) -> bool:
    return all(np.array_equal(picture, others[index]) for index, picture in pictures.items())


def _told(case: Case, outcome: str, said: str) -> Case:
    return Case(case.path, case.source, case.mutation, outcome, said)


def decode_all(path: Path, *, wanted: set[int]) -> Decoded:
    """Decode a file from its first packet to its last, by PyAV alone."""
    pts: list[int | None] = []
    pictures: dict[int, np.ndarray] = {}
    packets: list[int | None] = []
    error = ""
    with av.open(f"file:{path}", metadata_errors="ignore") as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                packets.append(packet.pts)
            try:
                frames = packet.decode()
            except av.FFmpegError as caught:
                error = caught.strerror
                continue
            for frame in frames:
                if len(pts) in wanted:
                    pictures[len(pts)] = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
                pts.append(frame.pts)
        unit = float(stream.time_base or 1)
    told = np.array(pts if None not in pts else [], np.float64)
    if not len(told) or (np.diff(told) <= 0).any():  # as those derived for AVI
        told = np.sort(np.array(packets if None not in packets and len(packets) == len(pts) else range(len(pts))))
    return Decoded((told - told[0]) * unit, pictures, error)


def fuzz_videos(count: int, scratch: Path, *, seed: int = 0) -> tuple[list[Case], int]:
    """Return what came of so many mutated videos, and the most bytes that one process took."""
    folder = scratch / "videos"
    folder.mkdir(parents=True)
    cases = write_cases(folder, count=count, seed=seed)
    report, largest = extract(folder, scratch / "store")
    store = FeatureStore(scratch / "store")
    failed = {failure.video_id: failure.reason for failure in store.failures}
    if (report["embedded"], report["failed"]) != (len(store), len(failed)) or len(store) + len(failed) != count:
        raise RuntimeError(f"{count} videos, of which {len(store)} are embedded and {len(failed)} failed: {report}")
    return [judge(case, store, failed) for case in cases], largest


def say(line: str) -> None:
    """Write a line to stdout."""
    sys.stdout.write(f"{line}\n")


def main() -> None:
    """Say the table by mutation and outcome, and every fault; exit with 1 where there is one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="framebank-") as scratch:
        cases, largest = fuzz_videos(given.videos, Path(scratch), seed=given.seed)
    counts = Counter((case.mutation, case.outcome) for case in cases)
    say(f"| mutation | {' | '.join(OUTCOMES)} |\n|---|{'--:|' * len(OUTCOMES)}")
    for name in MUTATIONS:
        say(f"| {name} | {' | '.join(str(counts[name, outcome]) for outcome in OUTCOMES)} |")
    say(f"\nthe largest process took {largest / 1e6:.0f} MB")
    faults = [case for case in cases if case.outcome == "fault"]
    for case in faults:
        say(f"{case.path.name}, {case.mutation}: {case.said}")
    sys.exit(bool(faults) or largest > LARGEST_WORKER)


if __name__ == "__main__":
    main()
