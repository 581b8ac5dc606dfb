"""Exports: what comes out is what was in, goes back in unchanged, and is whole or not there."""

import csv
import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from framebank.store import DataError, Embeddings, FeatureStore, Manifest, ShardWriter, Video
from framebank.store.exchange import exports as module
from framebank.store.exchange.export_names import key_of, path_of
from framebank.store.exchange.exports import EXPORTS, export_store
from framebank.store.exchange.imports import find_width, import_features, imported_spec
from framebank.store.exchange.source import Names
from framebank.store.exchange.sources import open_source
from framebank.tests.worlds.store import DIM, SPEC

IDS = ("a", "a.npy/b", "../out", "x_fps", "/root//é 100%.avi", "Run/v_1", "C:\\con", "a.json")

EXTRA = ((), (("camera", "left"),), (("camera", "rechts"), ("note 2", "ü, \n")))  # cells of columns of the user


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """A store whose videos have awkward names, different lengths, two views, and one without an embedding."""
    generator = np.random.default_rng(1)
    videos = [
        Video(
            name,
            tmp_path / "v.mp4",
            "run" if n % 2 else "",
            "test" if n else "",
            group="ab"[: n % 3],
            extra=EXTRA[n % 3],
        )
        for n, name in enumerate(IDS)
    ]
    with ShardWriter(_made(tmp_path / "bank"), SPEC, max_videos=3) as writer:
        for number, name in enumerate(IDS):
            rows = 2 * (number + 1)
            indices = np.tile(np.arange(number + 1), 2) * 3
            views = np.repeat([0, 1], number + 1)
            data = generator.normal(size=(rows, DIM)).astype(np.float16)
            writer.add(name, Embeddings(data, timestamps=indices / 30, indices=indices, views=views))
    Manifest((*videos, Video("failed", tmp_path / "f.mp4"))).write(tmp_path / "bank" / "manifest.csv")
    return FeatureStore(tmp_path / "bank")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _export(store: FeatureStore, out: Path, form: str) -> None:
    assert [video.video_id for video in export_store(store, store.manifest, out, form=form)] == list(IDS)


def _require_equal(store: FeatureStore, back: FeatureStore) -> None:
    assert sorted(back) == sorted(store) and back.spec == store.spec
    for name in store:
        for part in ("data", "timestamps", "indices", "views", "clips"):
            assert np.array_equal(getattr(back[name], part), getattr(store[name], part)), (name, part)
        assert (back[name].windows is None) == (store[name].windows is None)
        assert store[name].windows is None or np.array_equal(back[name].windows, store[name].windows)
    known, found = (
        {v.video_id: (v.label, v.split, v.group, dict(v.extra)) for v in one.manifest.videos if v.video_id in store}
        for one in (store, back)
    )
    assert found == known


def _import(src: Path, folder: Path) -> FeatureStore:
    source = open_source(src, Names())
    spec = imported_spec({}, dim=find_width(source), made_by=source.spec)
    assert not [outcome.error for outcome in import_features(folder, source, spec=spec) if outcome.error]
    return FeatureStore(folder)


@pytest.mark.parametrize(("form", "out"), [("npy", "out"), ("parquet", "out.parquet"), ("webdataset", "out")])
def test_an_export_goes_back_in_unchanged(
    tmp_path: Path, store: FeatureStore, form: str, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VIDEOS_OF_A_TAR", 3)
    before = {path.name for path in tmp_path.iterdir()}
    _export(store, tmp_path / out, form)
    assert {path.name for path in tmp_path.iterdir()} == before | {out}  # "../out" led nowhere else
    _require_equal(store, _import(tmp_path / out, tmp_path / "back"))


@pytest.mark.parametrize(("form", "out"), [("npy", "out"), ("parquet", "out.parquet"), ("webdataset", "out")])
def test_the_seconds_of_clips_go_out_and_come_back(tmp_path: Path, form: str, out: str) -> None:
    generator = np.random.default_rng(1)
    with ShardWriter(_made(tmp_path / "bank"), SPEC) as writer:
        for rows in (3, 5):
            starts = np.arange(rows) * 0.5
            data, indices = generator.normal(size=(rows, DIM)).astype(np.float16), np.arange(rows)
            windows = np.stack([starts, starts + 1 / 3], axis=1)
            writer.add(f"v{rows}", Embeddings(data, timestamps=starts + 1 / 6, indices=indices, windows=windows))
    Manifest((Video("v3", tmp_path / "3.mp4"), Video("v5", tmp_path / "5.mp4"))).write(
        tmp_path / "bank" / "manifest.csv"
    )
    store = FeatureStore(tmp_path / "bank")
    assert len(list(export_store(store, store.manifest, tmp_path / out, form=form))) == 2
    _require_equal(store, _import(tmp_path / out, tmp_path / "back"))


def test_webdataset_tars_go_back_in_unpacked_too(
    tmp_path: Path, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VIDEOS_OF_A_TAR", 3)
    _export(store, tmp_path / "tars", "webdataset")
    tars = sorted((tmp_path / "tars").glob("*.tar"))
    assert [tar.name for tar in tars] == [f"shard-{number:06d}.tar" for number in range(3)]
    (tmp_path / "tars" / "store.spec").rename(_made(tmp_path / "unpacked") / "store.spec")
    for tar in tars:
        with tarfile.open(tar) as file:
            file.extractall(tmp_path / "unpacked", filter="data")
    _require_equal(store, _import(tmp_path / "unpacked", tmp_path / "back"))


def test_webdataset_itself_reads_the_tars(tmp_path: Path, store: FeatureStore) -> None:
    webdataset = pytest.importorskip("webdataset")
    _export(store, tmp_path / "tars", "webdataset")
    samples = list(webdataset.WebDataset(str(tmp_path / "tars" / "shard-000000.tar"), shardshuffle=False))
    assert [json.loads(sample["json"])["video_id"] for sample in samples] == list(IDS)
    for sample, name in zip(samples, IDS, strict=True):
        assert np.array_equal(np.load(io.BytesIO(sample["npy"])), store[name].data)
    assert [sample.get("cls") for sample in samples[:2]] == [None, b"0"]


def test_parquet_is_plain_lists(tmp_path: Path, store: FeatureStore) -> None:
    _export(store, tmp_path / "o.parquet", "parquet")
    rows = pyarrow.parquet.read_table(tmp_path / "o.parquet").to_pylist()
    assert [row["video_id"] for row in rows] == list(IDS)
    assert np.array_equal(np.array(rows[1]["embedding"], dtype=np.float16), store[IDS[1]].data)
    assert rows[1]["frame_index"] == [0, 3, 0, 3] and rows[1]["view"] == [0, 0, 1, 1]


@pytest.mark.parametrize("form", EXPORTS)
def test_a_broken_export_leaves_nothing(
    tmp_path: Path, store: FeatureStore, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(tmp_path.iterdir())
    reads = iter([store[IDS[0]]])
    monkeypatch.setattr(FeatureStore, "__getitem__", lambda self, name: next(reads))
    with pytest.raises((StopIteration, RuntimeError)):
        list(export_store(store, store.manifest, tmp_path / "out", form=form))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("form", EXPORTS)
def test_what_is_there_is_not_written_over(tmp_path: Path, store: FeatureStore, form: str) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DataError, match="exists already"):
        list(export_store(store, store.manifest, tmp_path / "out", form=form))
    assert (tmp_path / "out").read_text() == "mine"


@pytest.fixture
def streams(tmp_path: Path) -> FeatureStore:
    """A store of two videos of 3 frames in 2 views, with regions, layers and the mean of the patches."""
    generator = np.random.default_rng(2)
    spec = replace(SPEC, view="centre+flip", streams="frame,regions:2,layers:1+2,patch_mean")
    with ShardWriter(_made(tmp_path / "bank"), spec) as writer:
        for name in "ab":
            frame, regions, layers, mean = (
                generator.normal(size=shape).astype(np.float16)
                for shape in ((6, DIM), (6, 4, DIM), (6, 2, 5), (2, 9, DIM))
            )
            indices = np.tile([1, 4, 7], 2)
            embeddings = Embeddings(
                frame,
                timestamps=indices / 10,
                indices=indices,
                views=np.repeat([0, 1], 3),
                streams={"regions": regions, "layers": layers},
                patch_mean=mean,
            )
            writer.add(name, embeddings)
    Manifest(tuple(Video(name, tmp_path / "v.mp4", "run", "test") for name in "ab")).write(
        tmp_path / "bank" / "manifest.csv"
    )
    return FeatureStore(tmp_path / "bank")


@pytest.mark.parametrize("form", EXPORTS)
@pytest.mark.parametrize(
    ("stream", "full", "shape", "indices"),
    [
        ("regions", "regions 2", (6, 4, DIM), [1, 4, 7, 1, 4, 7]),
        ("layers", "layers 1+2", (6, 2, 5), [1, 4, 7, 1, 4, 7]),
        ("patch_mean", "patch_mean", (2, 9, DIM), [1, 1]),
    ],
)
def test_a_stream_goes_out_and_comes_in_as_the_frames_of_another_model(
    tmp_path: Path, streams: FeatureStore, form: str, stream: str, full: str, shape: tuple[int, ...], indices: list[int]
) -> None:
    out = tmp_path / ("out.parquet" if form == "parquet" else "out")
    assert len(list(export_store(streams, streams.manifest, out, form=form, stream=stream))) == 2
    if form == "npy":
        assert np.load(out / "a.npy").shape == shape
    back = _import(out, tmp_path / "back")
    for name in "ab":
        found = back[name]
        np.testing.assert_array_equal(found.data, streams.read_stream(name, stream).reshape(shape[0], -1))
        assert found.indices.tolist() == indices
        assert found.timestamps.tolist() == [index / 10 for index in indices]
        assert found.views.tolist() == [0] * (shape[0] // 2) + [1] * (shape[0] // 2)
    dim = int(np.prod(shape[1:]))
    assert back.spec == replace(streams.spec, model=f"fake {full}", dim=dim, streams="frame")
    assert back.spec.encoder != streams.spec.encoder


def test_a_stream_that_is_not_there(tmp_path: Path, streams: FeatureStore) -> None:
    with pytest.raises(DataError, match="bank: has no stream 'pre_proj'; it has frame, layers, patch_mean, regions"):
        list(export_store(streams, streams.manifest, tmp_path / "out", form="npy", stream="pre_proj"))
    assert not list(tmp_path.glob("out*"))


def test_further_streams_are_not_claimed(tmp_path: Path) -> None:
    spec = replace(SPEC, streams="frame,more")
    rows = np.ones((2, DIM), dtype=np.float16)
    with ShardWriter(_made(tmp_path / "bank"), spec) as writer:
        writer.add("a", Embeddings(rows, timestamps=np.arange(2.0), indices=np.arange(2), streams={"more": rows}))
    Manifest((Video("a", tmp_path / "a.mp4"),)).write(tmp_path / "bank" / "manifest.csv")
    store = FeatureStore(tmp_path / "bank")
    list(export_store(store, store.manifest, tmp_path / "out", form="npy"))
    assert _import(tmp_path / "out", tmp_path / "back").spec == SPEC


LONG = ("日本語の動画" * 13, "run/" + "日本語の動画" * 13, "日本語の動画" * 13 + "b", "%-" * 60, "x" * 250, "x" * 251)
DEEP = "/".join(["a folder"] * 700)


def _store_of(folder: Path, ids: tuple[str, ...]) -> FeatureStore:
    with ShardWriter(_made(folder), SPEC) as writer:
        for number, name in enumerate(ids):
            data = np.full((2, DIM), number + 1, dtype=np.float16)
            writer.add(name, Embeddings(data, timestamps=np.arange(2.0), indices=np.arange(2)))
    Manifest(tuple(Video(name, folder / "v.mp4", "run", "test") for name in ids)).write(folder / "manifest.csv")
    return FeatureStore(folder)


@pytest.mark.parametrize(("form", "out"), [("npy", "out"), ("parquet", "out.parquet"), ("webdataset", "out")])
def test_names_too_long_for_a_file_system_go_out_and_come_back(tmp_path: Path, form: str, out: str) -> None:
    store = _store_of(tmp_path / "bank", (*IDS, *LONG, DEEP))
    assert len(list(export_store(store, store.manifest, tmp_path / out, form=form))) == len(store)
    _require_equal(store, _import(tmp_path / out, tmp_path / "back"))
    if form == "webdataset":
        for tar in sorted((tmp_path / out).glob("*.tar")):
            with tarfile.open(tar) as file:
                file.extractall(tmp_path / "unpacked", filter="data")
        (tmp_path / out / "store.spec").rename(tmp_path / "unpacked" / "store.spec")
        _require_equal(store, _import(tmp_path / "unpacked", tmp_path / "back2"))
    if form != "parquet":
        rows = list(csv.DictReader((tmp_path / out / "names.csv").open(encoding="utf-8")))
        assert [row["video_id"] for row in rows] == [*IDS, *LONG, DEEP]
        assert len({row["file"] for row in rows}) == len(rows)
        assert max(len(part) for row in rows for part in row["file"].split("/")) == 254
        if form == "npy":
            for number, row in enumerate(rows):
                assert (np.load(tmp_path / out / row["file"]) == number + 1).all()


def test_a_name_is_cut_between_two_letters_and_keeps_its_beginning() -> None:
    assert path_of("a/b c.d") == "a/b c.d" and key_of("a/b c.d") == "a%2Fb%20c%2Ed"
    for name in LONG[:4]:
        for most in range(60, 90):
            for cut in (path_of(name, most=most).rpartition("/")[2], key_of(name, most=most)):
                head, found, figures = cut.rpartition("%-")
                assert found and len(figures) == 16 and most - 2 <= len(cut) <= most
                assert all(len(escape) >= 2 and escape[:2].isalnum() for escape in head.split("%")[1:])
    assert path_of(LONG[0]) != path_of(LONG[2]) and len(path_of("x" * 250)) == 250 == len(path_of("x" * 251))


@pytest.mark.parametrize("first", EXPORTS)
@pytest.mark.parametrize("second", EXPORTS)
def test_a_second_export_to_one_place_is_refused(tmp_path: Path, store: FeatureStore, first: str, second: str) -> None:
    running = export_store(store, store.manifest, tmp_path / "out", form=first)
    next(running)
    with pytest.raises(DataError, match="out: another process is writing here"):
        next(export_store(store, store.manifest, tmp_path / "out", form=second))
    assert len(list(running)) == len(IDS) - 1
    _require_equal(store, _import(_named(tmp_path / "out", first), tmp_path / "back"))
    with pytest.raises(DataError, match="exists already"):
        next(export_store(store, store.manifest, _named(tmp_path / "out", first), form=second))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["back", "bank", _named(Path("out"), first).name])


def _named(out: Path, form: str) -> Path:
    """The export under a name that says its form, as the import needs it for parquet."""
    named = out.with_suffix(".parquet") if form == "parquet" else out
    if out.exists() and named != out:
        out.rename(named)
    return named


@pytest.mark.slow
@pytest.mark.parametrize("form", EXPORTS)
def test_a_killed_export_is_run_again(tmp_path: Path, store: FeatureStore, form: str) -> None:
    code = (
        "import os, signal; from pathlib import Path; from framebank.store import FeatureStore\n"
        "from framebank.store.exchange.exports import export_store\n"
        f"store = FeatureStore({str(store.path)!r})\n"
        f"running = export_store(store, store.manifest, Path({str(tmp_path / 'out')!r}), form={form!r})\n"
        "next(running); next(running)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert (tmp_path / "out.part").exists() and not (tmp_path / "out").exists()
    _export(store, tmp_path / "out", form)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank", "out"]


@pytest.mark.slow
@pytest.mark.parametrize("form", EXPORTS)
def test_a_full_disk_is_one_sentence(tmp_path: Path, form: str) -> None:
    """A limit on the size of files stands for it."""
    store = _store_of(tmp_path / "bank", tuple(f"v{number}" for number in range(300)))
    code = (
        "import resource; from pathlib import Path; from framebank.store import FeatureStore\n"
        "from framebank.store.exchange.exports import export_store\n"
        f"store = FeatureStore({str(store.path)!r})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        f"list(export_store(store, store.manifest, Path({str(tmp_path / 'out')!r}), form={form!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith(
        f"framebank.store.errors.PlaceError: {tmp_path / 'out'}: cannot be written: "
    )
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]
