"""What the commands need that are killed: stores, runs, indexes and videos, made once."""

import itertools
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from framebank.store import Manifest, ShardWriter, Video
from framebank.tests.kills.command import call_command
from framebank.tests.kills.commands import ADAPTING, EPISODES, QUICK
from framebank.tests.worlds.bank import fill_from, put, write_store
from framebank.tests.worlds.heads import prompts_of, row, write_world
from framebank.tests.worlds.several import write_several
from framebank.tests.worlds.trunk import write_trunk_world
from framebank.tests.worlds.video import write_indexed

SPLITS = {"train": 12, "val": 5, "test": 5}  # as many validation videos as a temperature needs


def make_template(template: Path, folder: Path) -> None:
    """Make all that the commands need, in `folder`, whose paths it holds, and keep it in `template`."""
    folder.mkdir()
    os.chdir(folder)
    for name in ("bank", "bank-2"):
        Path(name).mkdir()
        write_world(Path(name), splits=SPLITS, seed=0 if name == "bank" else 1)
    _rename_videos(Path("bank-2"))
    shutil.copytree("bank", "hand")
    _call("store", "relabel", "hand", "--set", "wave-*=waving")
    shutil.copytree("bank", "loose")
    _call("store", "relabel", "loose", "--set", "*=", "--column", "split")
    _make_videos()
    _make_broken()
    _call("store", "export", "bank", "all.parquet", "--format", "parquet")
    _call("store", "export", "bank", "tars", "--format", "webdataset")
    np.savez("all.npz", embeddings=np.ones((6, 4, 8), np.float32), ids=list("abcdef"), labels=list("xxyyzz"))
    prompts = prompts_of(num_templates=1)
    np.savez("names.npz", embeddings=prompts.embeddings, names=list(prompts.labels.names))
    Path("classes.txt").write_text("\n".join(prompts.labels.names))
    prompts.write(Path("prompts.h5"))
    Path("spans.csv").write_text("video_id,start,end,label\nwave-train-0,0.3,1.2,up\n")
    _call("train", "bank", "run", *QUICK)
    _call("evaluate", "run")
    shutil.copytree("run", "bare")
    _call("temperature", "bare", "--off")
    _call("evaluate", "bare")
    _call("eval", "bank", "--protocol", "zero-shot-full", "--prompts", "prompts.h5", "--results", "results.jsonl")
    Path("several").mkdir()
    write_several(Path("several"))
    _call("train", "several", "judged", "--loss", "bce", *QUICK)
    _call("thresholds", "judged")
    _call("evaluate", "judged")
    _call("fewshot-train", "bank", "matcher", "--steps", "1", *EPISODES)
    _call("index", "bank", "plain")
    shutil.copytree("plain", "index")
    _call("index", "bank", "near", "--type", "sq8")
    _call("enroll", "index", "own", "--id", "wave-train-0")
    _make_films()
    _make_checkpoint()
    write_trunk_world(Path("tokens"), each=2)
    _call("adapt", "tokens", "adapted", *ADAPTING, "--method", "ted")
    folder.rename(template)


def _call(*arguments: str) -> None:
    code = call_command(arguments)
    assert code == 0, arguments


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
    from framebank.store import FeatureStore

    shutil.copytree("bank", "broken")
    store = FeatureStore("broken")
    double, rows = store.ids[0], store[store.ids[1]]
    with ShardWriter(Path("broken"), store.spec) as writer:
        writer.add(double, rows)
    damaged = Path("broken/shard-00001.h5")
    damaged.write_bytes(damaged.read_bytes()[:-100])


def _make_films() -> None:
    """Two videos, a store that says it is of the demo's encoder, and its index."""
    from framebank.extract.encoders.encoder import Encoder

    spec = replace(Encoder("demo", device="cpu").spec, sampling="fps:2", decoder="pyav")
    rng = np.random.default_rng(0)
    Path("films").mkdir()
    with ShardWriter(Path("films"), spec) as writer:
        for name in ("one", "two"):
            write_indexed(Path(f"films/{name}.mp4"), total=25)
            writer.add(name, row(rng.normal(size=(2, spec.dim)), indices=np.array([0, 12])))
    Manifest(tuple(Video(name, Path(f"films/{name}.mp4")) for name in ("one", "two"))).write(Path("films/manifest.csv"))
    _call("index", "films", "film-index")
    Path("queries.csv").write_text("text,video_id\na person waving,one\n")


def _make_checkpoint() -> None:
    import torch

    from framebank.extract.encoders.weights import build_network

    clip = build_network("demo", None)
    fusion = {"shift.weight": torch.ones(clip.text_projection.shape[1], 1, 3)}
    torch.save({"model_state_dict": clip.state_dict(), "fusion_model_state_dict": fusion}, "best.pt")
