"""Every protocol that comes with framebank runs: on made-up rows of the videos that its lists name.

The lists are the official ones where they are at hand. Where they are not, they are made up, in the form and with the
number of videos of the official ones. Episodes are drawn 20 times and not 10,000.
"""

import csv
import io
import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.heads.evaluation.named import PROTOCOLS, ListedSplit, NamedProtocol, protocol_names, read_protocol
from framebank.heads.training.recipe import Recipe
from framebank.library.figures.intervals import between
from framebank.library.table import percent
from framebank.store import Embeddings, LabelSet, Manifest, PromptBank, ShardWriter, Video
from framebank.store.videos.lists import ListedVideo, read_list
from framebank.tests.places import DATA
from framebank.tests.worlds.heads import DIM, SPEC, prompts_of

LISTS = DATA / "labels"
FOLDERS = {  # of the official lists, by the beginning of the protocol's name
    "ucf101-episodes": "fewshot/ucf101",
    "hmdb51-episodes": "fewshot/hmdb51",
    "kinetics100-episodes": "fewshot/kinetics100",
    "ssv2-small-episodes": "fewshot/ssv2_small",
    "ssv2-full-episodes": "fewshot/ssv2_full",
    "ucf101-base-to-novel": "base2novel/ucf",
    "hmdb51-base-to-novel": "base2novel/hmdb",
    **{
        f"{data}-{shots}-shot": f"kshot/{data.rstrip('150')}"
        for data in ("ucf101", "hmdb51")
        for shots in (2, 4, 8, 16)
    },
    "kinetics600-zero-shot": "k600_zeroshot",
    "ucf101": "ucf101",
    "hmdb51": "hmdb51",
}
TOKENS = ("v-jepa-2-probe", "v-jepa-2-probe-3-views", "v-jepa-2-probe-small")
SHORTER = {"episodes = 10000": "episodes = 20", "epochs = 20\n": "epochs = 2\n", "min_steps = 600": "min_steps = 2"}
NUM_CLASSES, EACH, FRAMES = 5, 14, 2  # classes of a list, videos of each class and side, rows of a video

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.mark.parametrize("name", protocol_names())
def test_it_runs(name: str, tmp_path: Path) -> None:
    protocol = read_protocol(name)
    folder = next((FOLDERS[start] for start in FOLDERS if name.startswith(start)), "")
    if folder and not LISTS.is_dir():
        pytest.skip(f"{LISTS} with the official lists is not there")
    lists = LISTS / folder if folder else tmp_path / "lists"
    if protocol.reads_lists and not folder:
        lists.mkdir()
        for split in protocol.splits:
            _make_lists(lists, split, several=name == "charades")
    store = _write_store(tmp_path / "store", _videos(protocol, lists), protocol)
    given: dict[str, Any] = {"lists": lists} if protocol.reads_lists else {}
    if name == "charades":
        given["recipe"] = Recipe(head="mean", classifier="linear", loss="bce", epochs=2)
    elif protocol.kind == "supervised" and not protocol.recipe:
        given["recipe"] = "ridge"
    elif protocol.kind == "base-to-novel":
        given["recipe"] = Recipe(head="mean", epochs=2, min_steps=0)
    if protocol.kind != "supervised":
        given["prompts"] = _prompts(protocol, lists, fb.open(store).manifest.labels)
    if protocol.needs_run:
        given["run"] = _run_of_another_store(tmp_path, protocol)
    said = published = (PROTOCOLS / f"{name}.toml").read_text()
    for long, short in SHORTER.items():
        said = said.replace(long, short)
    (tmp_path / "p.toml").write_text(said)
    found = fb.evaluate_protocol(store, tmp_path / "p.toml", results=tmp_path / "r.jsonl", **given)
    line = json.loads((tmp_path / "r.jsonl").read_text())
    assert line["protocol"] == {"name": name, "hash": found.hash}
    assert (found.hash == protocol.hash) == (said == published)
    if name == "ucf101-episodes":
        assert found.videos_listed == 2745 and {part.listed for part in found.parts} == {2745}
    figure = found.map if name == "charades" else found.top1
    assert figure is not None and 0 < figure <= 1 and 0 < found.videos_evaluated <= found.videos_listed
    assert found.interval and found.interval[0] <= figure <= found.interval[1] + 1e-9
    (row,) = csv.DictReader(io.StringIO(fb.results(tmp_path / "r.jsonl").text("csv")))
    assert row["95 %"] == between(found.interval) and row["top-1"].startswith(percent(figure))
    if protocol.kind in ("supervised", "zero-shot"):
        assert len(found.parts) == (len(protocol.splits) or len(protocol.seeds) or 1)
    for part, split in zip(found.parts, protocol.splits, strict=False):
        if protocol.kind == "supervised" and split.test_videos:
            assert part.listed == split.test_videos
    if protocol.kind == "supervised" and protocol.groups:
        assert fb.open(store)[fb.open(store).ids[0]].num_groups == protocol.groups


def _make_lists(folder: Path, split: ListedSplit, *, several: bool) -> None:
    """Write lists in the form of the official ones, with their number of videos, or 40 where it is not fixed."""
    for side, names, count in (("train", split.train, split.train_videos), ("test", split.test, split.test_videos)):
        path = folder / names[0]
        ids = [f"{side}{number:06d}" for number in range(count or 40)]
        codes = [number % NUM_CLASSES for number in range(len(ids))]
        if several:
            rows = [
                f"{one},c{code:03d} 0.0 5.0;c{(code + 1) % 5:03d} 2.0 7.0,30.0\n"
                for one, code in zip(ids, codes, strict=True)
            ]
            path.write_text("id,actions,length\n" + "".join(rows))
        elif path.suffix == ".json":
            told = [{"id": one, "template": f"Doing [something] {code}"} for one, code in zip(ids, codes, strict=True)]
            path.write_text(json.dumps(told))
        else:
            rows = [f"class {code},{one},0,10,{side}\n" for one, code in zip(ids, codes, strict=True)]
            path.write_text("label,youtube_id,time_start,time_end,split\n" + "".join(rows))


def _videos(protocol: NamedProtocol, lists: Path) -> list[Video]:
    """Some videos that the lists name, with the class that the list gives them; or videos of classes of our own."""
    if protocol.class_lists:
        rows = [row for name in protocol.class_lists for row in _few(read_list(lists / name))]
        return [_video(row) for row in rows]
    if protocol.splits and protocol.videos != "classes":
        found: dict[str, Video] = {}
        known: set[str] = set()
        for split in protocol.splits:
            for names in (split.train or split.test, split.test, split.novel):
                file = next((path for name in names for path in sorted(lists.glob(name))), None)
                if file is None:
                    continue
                rows = _few(read_list(file), only=set() if names is split.novel else known)
                known = known or {_class_of(row) for row in rows}
                for row in rows:
                    found.setdefault(row.key, _video(row, before="new " if names is split.novel else ""))
        return list(found.values())
    names = ["wave", "clap", "rise", "fall", "nod"]
    if protocol.videos == "classes":
        names = [name for split in protocol.splits for name in LabelSet.read(lists / split.classes[0]).names[:2]]
    return [
        Video(f"{name}-{side}-{number}", Path(f"{name}-{side}-{number}.mp4"), name, side)
        for name in dict.fromkeys(names)
        for side in ("train", "test")
        for number in range(EACH)
    ]


def _few(rows: Iterable[ListedVideo], *, only: Collection[str] = ()) -> list[ListedVideo]:
    """The first videos of the first classes of a list, or of the classes `only`."""
    taken: dict[str, list[ListedVideo]] = {}
    for row in rows:
        name = _class_of(row)
        if name not in taken and (name not in only if only else len(taken) == NUM_CLASSES):
            continue
        if len(taken.setdefault(name, [])) < EACH:
            taken[name].append(row)
    return [row for own in taken.values() for row in own]


def _class_of(row: ListedVideo) -> str:
    """The class of a row: its name, its folder in a list of classes, that in UCF101's names, or the list's number."""
    folders = row.key.split("/")[:-1]
    if row.label or (row.split and row.codes and len(folders) > 1):
        return row.label or folders[-1]
    named = re.search(r"v_([A-Za-z]+)_g\d+", row.key)
    return named[1] if named else ";".join(row.codes)


def _video(row: ListedVideo, *, before: str = "") -> Video:
    return Video(row.key, Path(row.key if "." in row.key else f"{row.key}.mp4"), f"{before}{_class_of(row)}")


def _write_store(folder: Path, videos: Sequence[Video], protocol: NamedProtocol) -> Path:
    """Rows near an axis of the class, with tokens or views where the protocol reads them."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    tokens, groups = protocol.name in TOKENS, protocol.groups or 1
    sampling = f"clips:{groups}x{FRAMES}" if groups > 1 else f"segments:{FRAMES}"
    spec = replace(SPEC, sampling=sampling, streams="frame,tokens:2" if tokens else "frame")
    with ShardWriter(folder, spec) as writer:
        for video in videos:
            middle = sum((_axis(name) for name in video.labels), np.zeros(DIM))
            rows = middle + 0.5 * rng.normal(size=(groups * FRAMES, DIM))
            times = np.arange(len(rows))
            streams = {"tokens": rows[:, None] + 0.2 * rng.normal(size=(len(rows), 4, DIM))} if tokens else {}
            more = {"clips": times // FRAMES} if groups > 1 else {}
            writer.add(video.video_id, Embeddings(rows, times / 10, times, streams=streams, **more))
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    return folder


def _prompts(protocol: NamedProtocol, lists: Path, labels: Sequence[str]) -> PromptBank:
    """One text for each class, in the direction of its rows."""
    names = list(labels)
    if protocol.videos == "classes":
        names = [name for split in protocol.splits for name in LabelSet.read(lists / split.classes[0]).names]
    chosen = tuple(dict.fromkeys(names))
    vectors = np.stack([_axis(name) for name in chosen]).astype(np.float32)
    return replace(
        prompts_of(num_templates=1),
        labels=LabelSet(chosen),
        texts=chosen,
        embeddings=vectors,
        template=np.zeros(len(chosen), dtype=np.int64),
        end=np.arange(1, len(chosen) + 1),
        templates=("{}",),
    )


def _axis(name: str) -> np.ndarray:
    """The direction of a class, (D,), by its name."""
    made: np.ndarray = np.random.default_rng(list(name.encode())).normal(size=DIM)
    return made


def _run_of_another_store(folder: Path, protocol: NamedProtocol) -> Path:
    videos = [Video(f"{c}-{n}", Path(f"{c}-{n}.mp4"), c, "train") for c in ("left", "right", "up") for n in range(6)]
    other = _write_store(folder / "other", videos, protocol)
    if protocol.kind == "episodes":
        fb.fewshot_train(other, folder / "run", matcher="trx", way=3, shot=1, query=1, steps=2)
    else:
        words = _prompts(protocol, folder, ["left", "right", "up"])
        fb.train(other, folder / "run", head="mean", epochs=1, prompts=words)
    return folder / "run"
