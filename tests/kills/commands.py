"""The commands that write, each with what it needs and how what it wrote is read."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store import DataError
from framebank.tests.kills.world import tree
from framebank.tests.worlds.bank import fill_from
from framebank.tests.worlds.heads import SPEC

EPISODES = ("--way", "2", "--query", "1", "--val-episodes", "2")
ADAPTING = ("--method", "lora", "--blocks", "1", "--classifier", "linear", "--epochs", "1")
QUICK = ("--head", "mean", "--classifier", "linear", "--epochs", "1")


@dataclass(frozen=True)
class Command:
    """What a command is called with, in the folder that holds what it `needs`.

    `reads` gives what a reader makes of its output: where that is one of before and after a kill, it is never another.
    One that is not `again` does more when it is run again, as --undo. One that is `able` without room has an answer
    that does not need what it cannot write.
    """

    needs: tuple[str, ...]
    call: tuple[str, ...] | Callable[[], object]
    reads: Callable[[], Any] | None = None
    again: bool = True
    able: bool = False


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

        run = Run.read(name)
        return run.weights_hash, run.trained_on.get("confidence")

    return read


def _encoder(name: str) -> Callable[[], Any]:
    """What the weights and the adapters of an adapted encoder say, and the numbers in them."""

    def read() -> Any:
        from framebank.extract.adapters.adapted import ADAPTERS, WEIGHTS, read_adapted, read_adapters
        from framebank.store.files.replacing import current

        weights = current(Path(name), WEIGHTS)
        adapters = current(Path(name), ADAPTERS)
        numbers = read_adapters(weights) if adapters.exists() else {}
        return read_adapted(weights), sorted(numbers), weights.stat().st_size

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


def _results(name: str = "results.jsonl") -> Callable[[], Any]:
    """The protocol and the figure of each line."""

    def read() -> Any:
        from framebank.heads.evaluation.ledger import read_results

        return [(line["protocol"]["name"], line["top1"]) for line in read_results(Path(name))]

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


def _eval(*more: str, needs: tuple[str, ...] = ()) -> Command:
    call = ("eval", "bank", *more, "--results", "results.jsonl")
    return Command(("bank", *needs), call, _results(), again=False)


def _search(*more: str, reads: Callable[[], Any] | None = None, able: bool = False) -> Command:
    return Command(("films", "film-index"), ("search", "film-index", "--all", "-k", "2", *more), reads, able=able)


def _keep_names() -> None:
    """Keep the names that `search --text` embeds beside an index, without the text tower."""
    from framebank.store.indexes.names import write_names

    write_names(Path("film-index"), ["cat", "dog"], SPEC, np.ones((2, SPEC.dim), np.float32))


def _train(*more: str, needs: tuple[str, ...] = ()) -> Command:
    return Command(("bank", *needs), ("train", "bank", "run", *QUICK, *more), _run("run"))


def _thresholds(*more: str) -> Command:
    return Command(("several", "judged"), ("thresholds", "judged", *more), _run("judged"))


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
    "export fiftyone": Command(
        ("bank", "run", "spans.csv"),
        ("store", "export", "bank", "out", "--format", "fiftyone", "--run", "run", "--spans", "spans.csv"),
        _tree("out"),
    ),
    "prompts": Command(
        ("bank", "names.npz", "classes.txt"),
        ("prompts", "classes.txt", "out.h5", "--like", "bank", "--import", "names.npz"),
        _tree("out.h5"),
    ),
    "train": _train(),
    "train --overwrite": _train("--seed", "1", "--overwrite", needs=("run",)),
    "train, auto": Command(("bank",), ("train", "bank", "run", "--budget", "0.001"), _run("run")),
    "adapt": Command(("tokens",), ("adapt", "tokens", "adapted", *ADAPTING), _encoder("adapted")),
    "adapt --overwrite": Command(
        ("tokens", "adapted"), ("adapt", "tokens", "adapted", *ADAPTING, "--overwrite"), _encoder("adapted")
    ),
    "adapt --text-adapter": Command(
        ("tokens",),
        ("adapt", "tokens", "adapted", "--method", "ted", "--blocks", "1", "--text-adapter", "--epochs", "1"),
        _encoder("adapted"),
    ),
    "adapt --resume": Command(
        ("tokens",),
        ("adapt", "tokens", "adapted", *ADAPTING[:6], "--epochs", "2", "--resume", "--save-every", "0"),
        _encoder("adapted"),
    ),
    "temperature": Command(("bank", "bare"), ("temperature", "bare"), _run("bare")),
    "temperature --by-class": Command(("bank", "run"), ("temperature", "run", "--by-class"), _run("run")),
    "temperature --on": Command(("bank", "bare"), ("temperature", "bare", "--on"), _run("bare"), again=False),
    "temperature --off": Command(("bank", "run"), ("temperature", "run", "--off"), _run("run")),
    "suspects": Command(("bank",), ("suspects", "bank", "--csv", "suspects.csv"), _tree("suspects.csv")),
    "thresholds": _thresholds("--precision", "0.8"),
    "thresholds --off": _thresholds("--off"),
    "eval": _eval("--protocol", "zero-shot-full", "--prompts", "prompts.h5", needs=("prompts.h5",)),
    "eval, one more": _eval("--protocol", "supervised", "--recipe", "ridge", needs=("results.jsonl",)),
    "eval --keep-runs": _eval("--protocol", "supervised", "--recipe", "ridge", "--keep-runs", "runs"),
    "train --resume": Command(
        ("bank",),
        ("train", "bank", "run", *QUICK[2:4], "--head", "conv1d", "--epochs", "3", "--resume", "--save-every", "0"),
        _run("run"),
    ),
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
    "search --export-clips": _search("--id", "one", "--export-clips", "clips"),
    "search --export-clips --exact": _search("--id", "one", "--export-clips", "clips", "--exact"),
    "search --sheet": _search("--id", "one", "--sheet", "sheet.png", reads=_tree("sheet.png")),
    "search --preview": _search("--id", "one", "--preview", "hits.webp", reads=_tree("hits.webp")),
    "search --preview, a folder": _search("--id", "one", "--preview", "previews"),
    "search, the names beside an index": Command(("film-index",), _keep_names, able=True),
    "index --level": Command(("bank",), ("index", "bank", "new", "--level", "frame", "--type", "ivf"), _index("new")),
    "index --update --remove": Command(
        ("hand", "near"), ("index", "hand", "near", "--update", "--remove", "wave-train-1"), _index("near")
    ),
    "index --rows": Command(
        ("bank",), ("index", "bank", "new", "--level", "frame", "--rows", "float16"), _index("new")
    ),
    "index-merge": Command(("plain",), ("index-merge", "plain", "plain", "new"), _index("new")),
    "index-merge --overwrite": Command(
        ("plain", "near"), ("index-merge", "plain", "plain", "near", "--overwrite"), _index("near")
    ),
    "enroll": _enrolling("enroll", "more", "--id", "clap-train-0"),
    "unenroll": _enrolling("unenroll", "own"),
    "calibrate": _enrolling("calibrate", "--share", "0.2"),
    "predict --csv": Command(
        ("bank", "run"),
        ("predict", "bank", "--split", "train", "--run", "run", "--csv", "out.csv"),
        _tree("out.csv"),
    ),
    "build, labels": Command(
        ("classes.txt",), ("labels", "build", "out.h5", "--from", "classes.txt", "--model", "demo"), _tree("out.h5")
    ),
    "label-store --write": Command(
        ("bank", "run"),
        ("label-store", "bank", "--run", "run", "--write", "--threshold", "0", "--out", "out.csv"),
        _store("bank"),
        again=False,
    ),
    "report": Command(("bank", "run"), ("report", "run", "page.html", "--pictures", "0"), _tree("page.html")),
    "shots --csv": Command(("bank",), ("shots", "bank", "--csv", "out.csv"), _tree("out.csv")),
    "shots --csv, as JSON": Command(("bank",), ("shots", "bank", "--csv", "out.json"), _tree("out.json")),
    "export-head": Command(("run",), ("export-head", "run", "head.safetensors")),
    "import-checkpoint": Command(
        ("best.pt", "classes.txt"),
        ("import-checkpoint", "best.pt", "run", "--labels", "classes.txt", "--model", "demo"),
        _run("run"),
    ),
}


# The commands that change no file, called so that they read what they can.
READERS: dict[str, Command] = {
    "zeroshot": Command(("bank", "prompts.h5"), ("zeroshot", "bank", "--prompts", "prompts.h5")),
    "compare-runs": Command(("bank", "run", "bare"), ("compare-runs", "run", "bare")),
    "results": Command(("results.jsonl",), ("results", "results.jsonl")),
    "fewshot": Command(("bank",), ("fewshot", "bank", "--matcher", "mean", "--episodes", "5", "--way", "2")),
    "label": Command(("films", "film-index"), ("label", "films/one.mp4", "--index", "film-index")),
    "predict": Command(("bank", "run"), ("predict", "bank", "--run", "run", "--split", "train")),
    "shots": Command(("bank",), ("shots", "bank")),
    "search": _search("--id", "one", "--moments"),
    "duplicates": Command(("bank", "bank-2"), ("duplicates", "bank", "bank-2")),
    "evaluate-search": Command(
        ("films", "film-index", "queries.csv"), ("evaluate-search", "film-index", "queries.csv", "--dual-softmax")
    ),
    "index-push": Command(("bank", "index"), ("index-push", "index", "--to", "qdrant::memory:")),
    "verify": Command(("bank", "index"), ("verify", "index")),
    "verify, a store": Command(("bank",), ("store", "verify", "bank")),
    "info": Command(("older",), ("store", "info", "older")),
    "show": Command(("bank",), ("store", "show", "bank", "wave-train-0")),
    "status": Command(("older", "videos"), ("store", "status", "older", "videos")),
}
# The commands that are made of calls of the others.
MADE_OF_OTHERS = {"demo"}


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
