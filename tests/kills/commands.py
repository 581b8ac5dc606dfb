"""The commands that write, each with what it needs and how what it wrote is read."""

import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store import DataError
from framebank.tests.kills.world import tree
from framebank.tests.worlds.bank import fill_from, put, write_store
from framebank.tests.worlds.heads import prompts_of, write_world

EPISODES = ("--way", "2", "--query", "1", "--val-episodes", "2")
QUICK = ("--head", "mean", "--classifier", "linear", "--epochs", "1")


@dataclass(frozen=True)
class Command:
    """What a command is called with, in the folder that holds what it `needs`.

    `reads` gives what a reader makes of its output: where that is one of before and after a kill, it is never another.
    One that is not `again` does more when it is run again, as --undo.
    """

    needs: tuple[str, ...]
    call: tuple[str, ...] | Callable[[], object]
    reads: Callable[[], Any] | None = None
    again: bool = True


def _store(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from framebank.store import FeatureStore
        from framebank.store.upkeep.history import History

        store = FeatureStore(name)
        rows = [(video_id, store[video_id].data.tobytes()) for video_id in sorted(store)]
        return rows, store.manifest, store.failures, History.read(Path(name)).by_hand

    return read


def _index(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from framebank.store.indexes.index import Index

        index = Index.load(name)
        made = index.enrolment
        held = index.searched
        rows = held.rows and (held.rows.vectors.tobytes(), held.rows.spans.tolist())
        near = held.near and (held.near.kind, dict(held.near.settings), len(index.search(index.vectors[:1], 2)[0]))
        told = (dict(made.thresholds), made.nearest, made.calibration.share, rows, near)
        return index.vectors.tobytes(), index.videos, *told

    return read


def _run(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from framebank.heads.training.run import Run

        return Run.read(name).weights_hash

    return read


def _matcher(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from framebank.heads.fewshot.run import FewshotRun

        return FewshotRun.read(name).weights_hash

    return read


def _sound(*names: str) -> Callable[[], Any]:
    """The faults of stores that may lack videos for a while, but are never anything worse."""

    def read() -> Any:
        from framebank.store.shard import shard_paths
        from framebank.store.upkeep.verify import verify_store

        begun = [Path(name) for name in names if shard_paths(Path(name))]
        return [fault.problem for folder in begun for fault in verify_store(folder).faults]

    return read


def _measured(name: str) -> Callable[[], Any]:
    """How many videos a run was measured on, by both files that say it."""

    def read() -> Any:
        from framebank.store.files.replacing import current

        with np.load(current(Path(name), "predictions.npz")) as predictions:
            count = len(predictions["video_ids"])
        return count, json.loads(current(Path(name), "metrics.json").read_text())["videos_evaluated"]

    return read


def _tree(name: str) -> Callable[[], Any]:
    def read() -> Any:
        path = Path(name)
        return dict(tree(path)) if path.is_dir() else path.read_bytes()

    return read


def _extract(store: str, **choices: Any) -> Callable[[], object]:
    return lambda: fill_from(Path(store), Path("videos"), **choices)


def _export(form: str, out: str) -> Command:
    return Command(("older",), ("store", "export", "older", out, "--format", form), _tree(out))


def _import(source: str, *options: str) -> Command:
    return Command((source,), ("store", "import", source, "new", *options), _sound("new"))


def _train(*more: str, needs: tuple[str, ...] = ()) -> Command:
    return Command(("bank", *needs), ("train", "bank", "run", *QUICK, *more), _run("run"))


def _enrolling(*call: str) -> Command:
    return Command(("bank", "index"), (*call[:1], "index", *call[1:]), _index("index"))


COMMANDS: dict[str, Command] = {
    "extract": Command(("videos",), _extract("new"), _sound("new")),
    "extract, resumed": Command(("videos", "half"), _extract("half"), _sound("half")),
    "extract --refresh": Command(("videos", "older"), _extract("older", refresh=True), _sound("older")),
    "extract --prune": Command(("videos", "older"), _extract("older", prune=True), _sound("older")),
    "relabel": Command(("bank",), ("store", "relabel", "bank", "--set", "wave-*=waving"), _store("bank")),
    "relabel --undo": Command(("hand",), ("store", "relabel", "hand", "--undo"), _store("hand"), again=False),
    "rm": Command(("older",), ("store", "rm", "older", "run/*", "bad/*"), _store("older")),
    "merge": Command(("bank", "bank-2"), ("store", "merge", "bank", "bank-2", "new"), _sound("new")),
    "split": Command(
        ("bank",), ("store", "split", "bank", "parts", "--by", "label"), _sound("parts/wave", "parts/none")
    ),
    "repair": Command(("broken",), ("store", "repair", "broken"), _sound("broken")),
    "import npz": _import("all.npz", "--describe", "model=a"),
    "import parquet": _import("all.parquet"),
    "import tar": _import("tars"),
    "export npy": _export("npy", "out"),
    "export parquet": _export("parquet", "out.parquet"),
    "export webdataset": _export("webdataset", "out"),
    "prompts": Command(
        ("bank", "names.npz", "classes.txt"),
        ("prompts", "classes.txt", "out.h5", "--like", "bank", "--import", "names.npz"),
        _tree("out.h5"),
    ),
    "train": _train(),
    "train --overwrite": _train("--seed", "1", "--overwrite", needs=("run",)),
    "evaluate": Command(("bank", "run"), ("evaluate", "run", "--split", "val"), _measured("run")),
    "compare": Command(
        ("bank",), ("compare", "bank", "table", "--recipes", "linear-probe", "--seeds", "2", "--set", "epochs=1")
    ),
    "fewshot-train": Command(
        ("bank",),
        ("fewshot-train", "bank", "matcher", "--steps", "2", *EPISODES),
        _matcher("matcher"),
    ),
    "fewshot-train --overwrite": Command(
        ("bank", "matcher"),
        ("fewshot-train", "bank", "matcher", "--overwrite", "--steps", "3", *EPISODES),
        _matcher("matcher"),
    ),
    "fewshot-compare": Command(
        ("bank",),
        ("fewshot-compare", "bank", "table", "--matchers", "mean", "--shots", "1", "--episodes", "2", "--way", "2"),
    ),
    "index": Command(("bank",), ("index", "bank", "new"), _index("new")),
    "index --overwrite": Command(
        ("bank", "plain"), ("index", "bank", "plain", "--split", "test", "--overwrite"), _index("plain")
    ),
    "index --update": Command(("hand", "index"), ("index", "hand", "index", "--update"), _index("index")),
    "index --level": Command(("bank",), ("index", "bank", "new", "--level", "frame", "--type", "ivf"), _index("new")),
    "index --update --remove": Command(
        ("hand", "near"), ("index", "hand", "near", "--update", "--remove", "wave-train-1"), _index("near")
    ),
    "index-merge": Command(("plain",), ("index-merge", "plain", "plain", "new"), _index("new")),
    "enroll": _enrolling("enroll", "more", "--id", "clap-train-0"),
    "unenroll": _enrolling("unenroll", "own"),
    "calibrate": _enrolling("calibrate", "--share", "0.2"),
    "predict --csv": Command(
        ("bank", "run"),
        ("predict", "bank", "--split", "train", "--run", "run", "--csv", "out.csv"),
        _tree("out.csv"),
    ),
    "shots --csv": Command(("bank",), ("shots", "bank", "--csv", "out.csv"), _tree("out.csv")),
    "export-head": Command(("run",), ("export-head", "run", "head.safetensors")),
    "import-checkpoint": Command(
        ("best.pt", "classes.txt"),
        ("import-checkpoint", "best.pt", "run", "--labels", "classes.txt", "--model", "demo"),
        _run("run"),
    ),
}


def make_template(template: Path, folder: Path) -> None:
    """Make all that the commands need, in `folder`, whose paths it holds, and keep it in `template`."""
    folder.mkdir()
    os.chdir(folder)
    for name in ("bank", "bank-2"):
        Path(name).mkdir()
        write_world(Path(name), seed=0 if name == "bank" else 1)
    _rename_videos(Path("bank-2"))
    shutil.copytree("bank", "hand")
    _call("store", "relabel", "hand", "--set", "wave-*=waving")
    _make_videos()
    _make_broken()
    _call("store", "export", "bank", "all.parquet", "--format", "parquet")
    _call("store", "export", "bank", "tars", "--format", "webdataset")
    np.savez("all.npz", embeddings=np.ones((6, 4, 8), np.float32), ids=list("abcdef"), labels=list("xxyyzz"))
    prompts = prompts_of(num_templates=1)
    np.savez("names.npz", embeddings=prompts.embeddings, names=list(prompts.labels.names))
    Path("classes.txt").write_text("\n".join(prompts.labels.names))
    _call("train", "bank", "run", *QUICK)
    _call("evaluate", "run")
    _call("fewshot-train", "bank", "matcher", "--steps", "1", *EPISODES)
    _call("index", "bank", "plain")
    shutil.copytree("plain", "index")
    _call("enroll", "index", "own", "--id", "wave-train-0")
    _call("index", "bank", "near", "--type", "sq8")
    _make_checkpoint()
    folder.rename(template)


def _call(*arguments: str) -> None:
    code = call_command(arguments)
    assert code == 0, arguments


def call_command(arguments: tuple[str, ...]) -> int:
    """Call a command as a shell does; return its exit code."""
    from framebank.cli import main

    try:
        main(list(arguments), prog_name="framebank")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def call_function(function: Callable[[], object]) -> int:
    try:
        function()
    except DataError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    return 0


def _rename_videos(folder: Path) -> None:
    """Give the videos of a store other names, as those of another folder."""
    from framebank.store import FeatureStore
    from framebank.store.upkeep.rewrite import change_store

    store = FeatureStore(folder)
    newer = {video.video_id: f"{video.video_id}-2" for video in store.manifest.videos}
    text = store.manifest.text()
    for old, new in newer.items():
        text = text.replace(f"{old},", f"{new},")
    change_store(folder, renamed={name: newer[name] for name in store}, texts={"manifest.csv": text})


def _make_videos() -> None:
    """A folder of videos, a store of half of them, and one made before two of them changed, one moved and one went."""
    videos = Path("videos")
    for label, number in itertools.product(("run", "wave"), range(4)):
        put(videos / label / f"{number}.mp4", f"{label}{number}")
    put(videos / "bad" / "0.mp4", "bad")
    shutil.copytree(videos, "all-videos")
    for path in ("run/1.mp4", "wave/3.mp4", "bad/0.mp4"):
        (videos / path).unlink()
    write_store(Path("half"), videos)
    fill_from(Path("older"), videos)
    put(videos / "bad" / "0.mp4", "bad")
    fill_from(Path("older"), videos)
    put(videos / "run" / "0.mp4", "another", seconds=2_000_000_000)
    put(videos / "wave" / "1.mp4", "yet another", seconds=2_000_000_000)
    (videos / "run" / "2.mp4").rename(videos / "run" / "moved.mp4")
    (videos / "run" / "3.mp4").unlink()
    for path in ("run/1.mp4", "wave/3.mp4"):
        shutil.copy2(Path("all-videos") / path, videos / path)
    shutil.rmtree("all-videos")


def _make_broken() -> None:
    """A store with a damaged shard, and a video that stands twice with other rows."""
    from framebank.store import FeatureStore, ShardWriter

    shutil.copytree("bank", "broken")
    store = FeatureStore("broken")
    double, rows = store.ids[0], store[store.ids[1]]
    with ShardWriter(Path("broken"), store.spec) as writer:
        writer.add(double, rows)
    damaged = Path("broken/shard-00001.h5")
    damaged.write_bytes(damaged.read_bytes()[:-100])


def _make_checkpoint() -> None:
    import torch

    from framebank.extract.encoders.weights import build_network

    clip = build_network("demo", None)
    fusion = {"shift.weight": torch.ones(clip.text_projection.shape[1], 1, 3)}
    torch.save({"model_state_dict": clip.state_dict(), "fusion_model_state_dict": fusion}, "best.pt")
