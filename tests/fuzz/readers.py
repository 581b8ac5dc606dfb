"""Every reader of files: how to make one good input for it, and what it hands on, so that mutated inputs can be tried.

A new reader is one row in `READERS`.
"""

import contextlib
import dataclasses
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import faiss
import h5py
import numpy as np
import torch

from framebank.extract.prompts import read_templates
from framebank.heads.evaluation.ledger import append_result, read_results
from framebank.heads.evaluation.named import PROTOCOLS, read_protocol
from framebank.heads.exchange.published import read_checkpoint
from framebank.heads.fewshot.build import build_matcher
from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.fewshot.run import FewshotRun
from framebank.heads.labelling import enroll as enrolling
from framebank.heads.labelling.calibrate import calibrate
from framebank.heads.predictions import Predictions
from framebank.heads.training.build import build_model
from framebank.heads.training.loop import Epoch
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.resume import Keeping, TrainingState
from framebank.heads.training.run import Run
from framebank.store import DataError, FeatureStore, LabelSet, PromptBank, Video
from framebank.store.exchange.exports import export_store
from framebank.store.exchange.imports import find_width, import_features, imported_spec
from framebank.store.exchange.source import Names
from framebank.store.exchange.sources import open_source
from framebank.store.indexes.enrolment import Calibration
from framebank.store.indexes.index import Index
from framebank.store.indexes.rows import Rows
from framebank.store.indexes.searched import Searched
from framebank.store.indexes.structure import build
from framebank.store.indexes.tuning import Target, tune
from framebank.store.ledger import Failure, Ledger
from framebank.store.spans.files import read_spans
from framebank.store.upkeep.history import History
from framebank.store.upkeep.known_files import NAME as SOURCES
from framebank.store.upkeep.known_files import learned_text, read_learned
from framebank.store.upkeep.relabel import relabel_store
from framebank.store.upkeep.repair import repair_store
from framebank.store.upkeep.verify import verify_store
from framebank.store.vectors import unit
from framebank.store.videos.class_splits import read_class_splits
from framebank.store.videos.identity import Identity
from framebank.store.videos.inputs import read_videos
from framebank.store.videos.lists import read_list
from framebank.tests.places import TESTS
from framebank.tests.worlds.average import average_of_runs
from framebank.tests.worlds.heads import CLASSES, SPEC, prompts_of, texts_of
from framebank.tests.worlds.store import SPEC as STORE_SPEC
from framebank.tests.worlds.store import make_earlier, make_store


@dataclasses.dataclass(frozen=True)
class Reader:
    """`make` writes good files into a folder; each match of `files` there is mutated in turn; `read` reads the folder.

    `has_digest`: a value that changed is to be refused.
    """

    make: Callable[[Path], object]
    files: str
    read: Callable[[Path], Any]
    has_digest: bool = False


def fingerprint(value: Any, *, without: str = "") -> str:
    """The same for the same values, of whatever a reader hands on; `without` is a text that does not count."""
    state = hashlib.blake2b(digest_size=16)
    for part in _parts(value):
        state.update(part.replace(without.encode(), b"") + b"\0")
    return state.hexdigest()


def _parts(value: Any) -> Any:
    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield field.name.encode()
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, Mapping | MappingProxyType):
        for key in sorted(value, key=repr):
            yield repr(key).encode()
            yield from _parts(value[key])
    elif isinstance(value, list | tuple):
        yield f"{len(value)}".encode()
        for each in value:
            yield from _parts(each)
    else:
        yield repr(value).encode()


def _store(folder: Path) -> None:
    make_store(folder, {"a/one": 3, "a/two": 2, "b/three": 4, "b/four": 3})
    Ledger(folder / "failed.csv").add(Failure("c/five", "decode", "decoding fails after frame 3"))
    (folder / SOURCES).write_text(learned_text({name: Identity(5, "1700", "ab" * 16) for name in ("a/one", "a/two")}))
    relabel_store(folder, {("a/one", "label"): "set by hand", ("b/four", "split"): "test"})


def _earlier_store(folder: Path) -> None:
    _store(folder)
    for path in folder.glob("shard-*.h5"):
        make_earlier(path)


def _read_store(folder: Path) -> list[object]:
    store = FeatureStore(folder)
    each = [(name, store[name], store.read_video(name)) for name in store]
    return [store.spec, store.ids, dict(store.decoders), each, store.read_packed(), store.sources]


def _verify(folder: Path) -> object:
    faults = verify_store(folder).faults
    if faults:
        raise DataError(faults[0].problem)
    return "no fault"


def _repair(folder: Path) -> object:
    """What is left after a repair is whole, and what was there is among it or set aside."""
    left = [fault for fault in repair_store(folder).left if fault.hurts != "store"]
    assert not left, left
    with contextlib.suppress(DataError):  # nothing is left
        _read_store(folder)
    return ""


def _prompts(folder: Path) -> None:
    prompts_of().write(folder / "prompts.h5")


def _earlier_prompts(folder: Path) -> None:
    shutil.copy(TESTS / "made_by" / "0.1.0" / "prompts.h5", folder / "prompts.h5")


def _index(folder: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [Video(f"{label}/{n}", Path(f"/{label}/{n}.mp4"), label, "train") for label in "ab" for n in range(20)]
    Index(rng.normal(size=(40, 8)), rows, spec=STORE_SPEC, made_by={"head": "mean", "run": None}).save(folder)
    examples = [(Video(name, Path(f"/{name}.mp4")), rng.normal(size=8).astype(np.float32)) for name in ("x", "y")]
    enrolling.enroll(folder, "mine", examples, index=Index.load(folder))
    held_out = tuple(Video(f"h{n}", Path(f"/h{n}.mp4"), "a", "val") for n in range(30))
    vectors = rng.normal(size=(30, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    calibrate(folder, Calibration(0.2, "/store", "val", held_out, vectors))


def _searched_index(kind: str) -> Callable[[Path], None]:
    """An index of frames that is searched by a structure, some of whose entries are gone."""

    def make(folder: Path) -> None:
        rng = np.random.default_rng(0)
        videos = [Video(f"{label}/{n}", Path(f"/{label}/{n}.mp4"), label, "train") for label in "ab" for n in range(20)]
        ends = np.arange(8, 328, 8)
        starts = np.tile(np.arange(8.0), 40)
        rows = Rows("frame", unit(rng.normal(size=(320, 8))), ends, np.stack([starts, starts + 1], axis=1))
        near = build(rows.vectors, kind)
        added = build(np.concatenate([rows.vectors[:4], rows.vectors]), kind)
        places = np.concatenate([np.full(4, -1), np.arange(320)])
        index = Index(rng.normal(size=(40, 8)), videos, spec=STORE_SPEC, made_by={"head": "mean", "run": None})
        _, measured = tune(near, rows.vectors, Target(kind))
        structure = dataclasses.replace(added, settings={near.knob: 4, "factor": 2}, places=places)
        index.searched = Searched(rows, structure, Target(kind), measured)
        index.save(folder)

    return make


def _read_index(folder: Path) -> list[object]:
    index = Index.load(folder)
    known = [index.spec, dict(index.made_by), index.own_vectors, list(index.videos), index.enrolment, index.origin]
    query = np.ones((1, index.spec.dim), dtype=np.float32)
    near = index.searched.near
    structure = near and [near.kind, dict(near.settings), near.places, faiss.serialize_index(near.base)]
    return [*known, index.searched.rows, index.searched.measured, structure, index.search(query, 5)]


def _run(head: str, classifier: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        recipe = Recipe(head=head, classifier=classifier, loss="ce")
        texts = texts_of(prompts_of())
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = build_model(recipe, dim=SPEC.dim, num_classes=len(CLASSES), texts=texts).eval()
        facts = {"texts": "names", "templates": ["{}"], "videos": 12, "split": "train"}
        Run(recipe, SPEC, CLASSES, model, "/some/store", facts).write(folder, log=[])

    return make


def _average(folder: Path) -> None:
    average_of_runs().write(folder, log=[])


def _resume(folder: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.Linear(8, 4)
        optimizer = torch.optim.AdamW(module.parameters())
        module(torch.randn(3, 8)).sum().backward()
        optimizer.step()
    log = [Epoch(1, 0.5, 0.001, 0.75, 1.5), Epoch(2, 0.25, 0.0005, 0.875, 1.25)]
    state = TrainingState({"model": module}, optimizer, torch.Generator(), Epoch, log, dict(module.state_dict()))
    Keeping(folder, seconds=0.0, about=lambda: ABOUT).keep(state)


def _read_resume(folder: Path) -> object:
    found = Keeping(folder, resumes=True, about=lambda: ABOUT).found()
    return found and [found.about.values, dict(found.tensors)]


def _predictions(folder: Path) -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(3), size=12)
    targets, groups = np.arange(12) % 3, np.arange(12) // 2
    names = tuple(f"v{n}" for n in range(12))
    Predictions(names, scores, targets, ("run", "walk", "sit"), groups).write(folder / "predictions.npz")


def _results(folder: Path) -> None:
    for number in range(6):
        protocol = {"name": "ucf101", "hash": "0123456789ab"}
        said = {"encoder": "ViT-B-16", "recipe": "ridge", "run": f"run{number}", "time": f"2026-11-2{number}T10:00:00"}
        figures = {"top1": 80.25 + number, "top5": 95.5, "top1_interval": [79.5, 81.25 + number], "deviation": 0.5}
        counts = {"videos_evaluated": 3783, "videos_listed": 3783}
        append_result(folder / "results.jsonl", {"protocol": protocol, **said, **figures, **counts})


def _read_results(folder: Path) -> object:
    """Lines may be lost, doubled or put in another order with their file; none is another than was written."""
    with tempfile.TemporaryDirectory(dir=folder) as written:
        _results(Path(written))
        known = read_results(Path(written, "results.jsonl"))
    return [line for line in read_results(folder / "results.jsonl") if line not in known]


def _fewshot_run(folder: Path) -> None:
    recipe = FewshotRecipe(matcher="trx")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        matcher = build_matcher(recipe, dim=SPEC.dim, num_classes=len(CLASSES))
    FewshotRun(recipe, SPEC, CLASSES, matcher, "/some/store", {"videos": 12}).write(folder, log=[])


def _export(form: str, name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        store = FeatureStore(make_store(folder / "store", {"a/one": 3, "a/two": 2, "b/three": 4}))
        list(export_store(store, store.manifest, folder / name, form=form))
        shutil.rmtree(folder / "store")

    return make


def _import(name: str) -> Callable[[Path], list[object]]:
    """Read as `framebank store import` does, where a video that cannot be read is told by a line of its own."""

    def read(folder: Path) -> list[object]:
        source = open_source(folder / name, Names())
        width = find_width(source)
        if not width:
            raise DataError(f"{folder / name}: holds no video that can be read")
        spec = imported_spec({}, dim=width, made_by=source.spec)
        failed = [one.error for one in import_features(folder / "bank", source, spec=spec) if one.error]
        if failed:
            raise DataError(f"{folder / name}: {failed[0]}")
        return [source.manifest, _read_store(folder / "bank")]

    return read


ARRAYS = {
    "features": np.random.default_rng(0).normal(size=(6, 4, 8)).astype(np.float32),
    "labels": np.array([0, 0, 1, 1, 2, 2]),
    "classes": np.array(["run", "walk", "sit"]),
    "video_id": np.array([f"v{n}" for n in range(6)]),
}


def _h5(folder: Path) -> None:
    with h5py.File(folder / "features.h5", "w") as file:
        for name, values in ARRAYS.items():
            file.create_dataset(name, data=values.astype("S") if values.dtype.kind == "U" else values)


def _h5_with_strings(folder: Path) -> None:
    with h5py.File(folder / "features.h5", "w") as file:
        for name, values in ARRAYS.items():
            file[name] = [str(value) for value in values] if values.dtype.kind == "U" else values


def _h5_keyed(folder: Path) -> None:
    with h5py.File(folder / "features.h5", "w") as file:
        for n, values in enumerate(ARRAYS["features"]):
            file.create_dataset(f"v_{n}/c3d_features", data=values, chunks=(2, 8), compression="gzip")


def _pt(folder: Path) -> None:
    torch.save(
        {"features": torch.from_numpy(ARRAYS["features"]), "labels": torch.from_numpy(ARRAYS["labels"])},
        folder / "features.pt",
    )


def _published(folder: Path) -> None:
    clip = {f"module.visual.layer{n}.weight": torch.randn(4, 3) for n in range(3)}
    fusion = {"module.fusion.weight": torch.randn(4, 4)}
    torch.save({"epoch": 3, "model_state_dict": clip, "fusion_model_state_dict": fusion}, folder / "actionclip.pt")


def _tar_of_clips(folder: Path) -> None:
    with tarfile.open(folder / "0.tar", "w") as tar:
        for name, text in {
            "a/1.mp4": "not a video",
            "a/1.json": '{"label": "run"}',
            "b.mp4": "x",
            "b.cls": "3",
        }.items():
            path = folder / "member"
            path.write_text(text)
            tar.add(path, arcname=name)
            path.unlink()


def _text(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def _list_of(name: str, read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    return lambda folder: read(folder / name)


LABELS_JSON = json.dumps({"run": ["a person runs", "somebody is running"], "walk": "a person walks", "sit": []})
LABELS_CSV = "id,name\n0,run\n1,walk\n2,sit down\n"
UCF = "".join(
    f"{name}/v_{name}_g01_c0{n}.avi {number}\n" for number, name in enumerate(("Run", "Sit"), 1) for n in (1, 2)
)
KINETICS = "label,youtube_id,time_start,time_end,split\n" + "".join(
    f"riding a bike,{'abcdefghij'[n]}x9-_4567890,{n},{n + 10},train\n" for n in range(5)
)
SOMETHING = json.dumps([{"id": f"{n}", "label": f"pushing {n}", "template": "Pushing [something]"} for n in range(5)])
CHARADES = (
    "id,subject,actions,length\n46GP8,HR43,c092 11.90 21.20;c147 0.00 12.60,24.83\nN11GT,0KZ7,c098 1.0 2.0,18.3\n"
)
VIDEOS = "video_id,path,label,split,start,end,group\n" + "".join(
    f"v{n},v/{n}.mp4,run,train,{n}.5,{n + 2}.25,g{n}\n" for n in range(5)
)
SPLITS_JSON = json.dumps({"run": "train", "walk": "train", "sit": "val", "stand": "test", "jump": "test"})
SPLITS_CSV = "class,split\nrun,train\nwalk,train\nsit,val\njump,test\n"
ABOUT = {"recipe": {"head": "lstm", "lr": 0.01}, "videos": "ab" * 16, "texts": None}
SPANS = "video_id,start,end,label,score,source\n" + "".join(
    f"v{n},{n}.5,{n + 2}.25,run,0.{n}5,hand\n" for n in range(5)
)
SPANS_JSON = json.dumps(
    {
        "spans": [
            {"video_id": f"v{n}", "start": n + 0.5, "end": n + 2.25, "label": "run", "score": 0.5} for n in range(5)
        ]
    }
)
SCENES = "Timecode List:,00:00:02.000\nScene Number,Start Time (seconds),End Time (seconds)\n" + "".join(
    f"{n},{2 * n}.000,{2 * n + 2}.000\n" for n in range(5)
)
TEMPLATES = "a video of a person {}\na person is {}\n{}\n"
PROTOCOL = (PROTOCOLS / "ucf101.toml").read_text(encoding="utf-8")
RECIPE = (
    'head = "transformer"\nclassifier = "text"\nloss = "kl"\nepochs = 12\nlr = 5e-5\n\n[head_options]\nnum_layers = 3\n'
)


READERS: dict[str, Reader] = {
    "shards": Reader(_store, "shard-*.h5", _read_store, has_digest=True),
    "shards, by verify": Reader(_store, "shard-*.h5", _verify, has_digest=True),
    "shards, by repair": Reader(_store, "shard-*.h5", _repair),
    "shards of 0.1.0": Reader(_earlier_store, "shard-*.h5", _read_store),
    "shards of 0.1.0, by repair": Reader(_earlier_store, "shard-*.h5", _repair),
    "manifest": Reader(_store, "manifest.csv", lambda folder: FeatureStore(folder).manifest.videos),
    "ledger": Reader(_store, "failed.csv", lambda folder: FeatureStore(folder).failures),
    "sources": Reader(_store, SOURCES, read_learned),
    "history": Reader(_store, "history.csv", History.read),
    "prompts": Reader(_prompts, "prompts.h5", lambda f: PromptBank.read(f / "prompts.h5"), has_digest=True),
    "prompts of 0.1.0": Reader(_earlier_prompts, "prompts.h5", lambda f: PromptBank.read(f / "prompts.h5")),
    "index, vectors": Reader(_index, "index.faiss", _read_index, has_digest=True),
    "index, list": Reader(_index, "ids.csv", _read_index, has_digest=True),
    "index, spec": Reader(_index, "spec.json", _read_index, has_digest=True),
    "enrolments": Reader(_index, "enrolled.npz", _read_index, has_digest=True),
    "index, rows": Reader(_searched_index("sq8"), "rows.faiss", _read_index, has_digest=True),
    "index, seconds of rows": Reader(_searched_index("sq8"), "rows.npz", _read_index, has_digest=True),
    "index, lists": Reader(_searched_index("sq8"), "near.faiss", _read_index, has_digest=True),
    "index, graph": Reader(_searched_index("hnsw"), "near.faiss", _read_index, has_digest=True),
    "index, entries": Reader(_searched_index("sq8"), "near.npz", _read_index, has_digest=True),
    "index, what was measured": Reader(_searched_index("sq8"), "measured.json", _read_index, has_digest=True),
    "index, spec of its rows": Reader(_searched_index("sq8"), "spec.json", _read_index, has_digest=True),
    "state of a training": Reader(_resume, "resume.safetensors", _read_resume, has_digest=True),
    "predictions": Reader(
        _predictions, "predictions.npz", lambda f: Predictions.read(f / "predictions.npz"), has_digest=True
    ),
    "results": Reader(_results, "results.jsonl", _read_results, has_digest=True),
    "run of a transformer": Reader(_run("transformer", "text"), "checkpoint.safetensors", Run.read, has_digest=True),
    "run of a linear probe": Reader(_run("mean", "linear"), "checkpoint.safetensors", Run.read, has_digest=True),
    "run of an attentive probe": Reader(_run("attentive", "linear"), "checkpoint.safetensors", Run.read, True),
    "run of an average": Reader(_average, "checkpoint.safetensors", Run.read, has_digest=True),
    "few-shot run": Reader(_fewshot_run, "matcher.safetensors", FewshotRun.read, has_digest=True),
    "recipe": Reader(_text("recipe.toml", RECIPE), "recipe.toml", _list_of("recipe.toml", Recipe.read)),
    "labels, JSON": Reader(_text("labels.json", LABELS_JSON), "labels.json", _list_of("labels.json", LabelSet.read)),
    "labels, CSV": Reader(_text("labels.csv", LABELS_CSV), "labels.csv", _list_of("labels.csv", LabelSet.read)),
    "labels, lines": Reader(_text("labels.txt", "run\nwalk\n"), "labels.txt", _list_of("labels.txt", LabelSet.read)),
    "list of UCF101": Reader(_text("trainlist01.txt", UCF), "*.txt", _list_of("trainlist01.txt", read_list)),
    "list of Kinetics": Reader(_text("train.csv", KINETICS), "train.csv", _list_of("train.csv", read_list)),
    "list of Something": Reader(_text("train.json", SOMETHING), "train.json", _list_of("train.json", read_list)),
    "list of Charades": Reader(_text("Charades_v1_train.csv", CHARADES), "*.csv", lambda f: read_list(*f.iterdir())),
    "list of videos": Reader(_text("videos.csv", VIDEOS), "videos.csv", lambda f: read_videos([f / "videos.csv"])),
    "spans, CSV": Reader(_text("spans.csv", SPANS), "spans.csv", _list_of("spans.csv", read_spans)),
    "spans, JSON": Reader(_text("spans.json", SPANS_JSON), "spans.json", _list_of("spans.json", read_spans)),
    "scenes": Reader(_text("s.csv", SCENES), "s.csv", lambda f: read_spans(f / "s.csv", video_id="v")),
    "protocol": Reader(_text("p.toml", PROTOCOL), "p.toml", _list_of("p.toml", read_protocol)),
    "templates": Reader(_text("t.txt", TEMPLATES), "t.txt", lambda f: read_templates(str(f / "t.txt"))),
    "class splits, JSON": Reader(_text("s.json", SPLITS_JSON), "s.json", lambda f: read_class_splits([f / "s.json"])),
    "class splits, CSV": Reader(_text("s.csv", SPLITS_CSV), "s.csv", lambda f: read_class_splits([f / "s.csv"])),
    "import of npz": Reader(lambda f: np.savez(f / "x.npz", **ARRAYS), "x.npz", _import("x.npz")),
    "import of packed npz": Reader(lambda f: np.savez_compressed(f / "x.npz", **ARRAYS), "x.npz", _import("x.npz")),
    "import of HDF5": Reader(_h5, "features.h5", _import("features.h5")),
    "import of HDF5 with strings": Reader(_h5_with_strings, "features.h5", _import("features.h5")),
    "import of HDF5, one array a video": Reader(_h5_keyed, "features.h5", _import("features.h5")),
    "import of pt": Reader(_pt, "features.pt", _import("features.pt")),
    "import of npy": Reader(_export("npy", "npy"), "npy/**/*.npy", _import("npy")),
    "import of npy, what is beside": Reader(_export("npy", "npy"), "npy/**/*.json", _import("npy")),
    "import of parquet": Reader(_export("parquet", "x.parquet"), "x.parquet", _import("x.parquet")),
    "import of tars": Reader(_export("webdataset", "tars"), "tars/*.tar", _import("tars")),
    "tars of videos": Reader(_tar_of_clips, "0.tar", lambda f: read_videos([f / "0.tar"])),
    "published checkpoint": Reader(_published, "actionclip.pt", _list_of("actionclip.pt", read_checkpoint)),
}  # fmt: skip
