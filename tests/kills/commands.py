"""The commands, those that write and those that read, each with what it needs and how what it wrote is read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import framebank as fb
from framebank.tests.kills.command import Command
from framebank.tests.kills.contents import (
    encoder_at,
    index_at,
    matcher_at,
    measured_at,
    results_at,
    run_at,
    soundness_of,
    store_at,
    tree_at,
)
from framebank.tests.worlds.bank import fill_from
from framebank.tests.worlds.heads import SPEC

EPISODES = ("--way", "2", "--query", "1", "--val-episodes", "2")
ADAPTING = ("--method", "lora", "--blocks", "1", "--classifier", "linear", "--epochs", "1")
QUICK = ("--head", "mean", "--classifier", "linear", "--epochs", "1")


def _extract(store: str, **choices: Any) -> Callable[[], object]:
    return lambda: fill_from(Path(store), Path("videos"), **choices)


def _export(form: str, out: str) -> Command:
    return Command(("older",), ("store", "export", "older", out, "--format", form), tree_at(out))


def _import(source: str, *options: str) -> Command:
    return Command((source,), ("store", "import", source, "new", *options), soundness_of("new"))


def _eval(*more: str, needs: tuple[str, ...] = ()) -> Command:
    call = ("eval", "bank", *more, "--results", "results.jsonl")
    return Command(("bank", *needs), call, results_at(), again=False)


def _search(*more: str, reads: Callable[[], Any] | None = None, able: bool = False) -> Command:
    return Command(("films", "film-index"), ("search", "film-index", "--all", "-k", "2", *more), reads, able=able)


def _keep_names() -> None:
    """Keep the names that `search --text` embeds beside an index, without the text tower."""
    from framebank.store.indexes.names import write_names

    write_names(Path("film-index"), ["cat", "dog"], SPEC, np.ones((2, SPEC.dim), np.float32))


def _train(*more: str, needs: tuple[str, ...] = ()) -> Command:
    return Command(("bank", *needs), ("train", "bank", "run", *QUICK, *more), run_at("run"))


def _train_auto() -> None:
    """Train the average of two heads that a search might find, and keep the state after each epoch of each."""
    from framebank.heads.training import auto
    from framebank.tests.worlds.found import LEARNED

    with patch.object(auto, "find_recipe", return_value=LEARNED):
        fb.train("bank", "run", resume=True, save_every=0)


def _thresholds(*more: str) -> Command:
    return Command(("several", "judged"), ("thresholds", "judged", *more), run_at("judged"))


def _enrolling(*call: str) -> Command:
    return Command(("bank", "index"), (*call[:1], "index", *call[1:]), index_at("index"))


COMMANDS: dict[str, Command] = {
    "extract": Command(("videos",), _extract("new"), soundness_of("new")),
    "extract, resumed": Command(("videos", "half"), _extract("half"), soundness_of("half")),
    "extract --refresh": Command(("videos", "older"), _extract("older", refresh=True), soundness_of("older")),
    "extract --prune": Command(("videos", "older"), _extract("older", prune=True), soundness_of("older")),
    "relabel": Command(("bank",), ("store", "relabel", "bank", "--set", "wave-*=waving"), store_at("bank")),
    "relabel --undo": Command(("hand",), ("store", "relabel", "hand", "--undo"), store_at("hand"), again=False),
    "hold-out": Command(("loose",), ("store", "hold-out", "loose"), store_at("loose")),
    "rm": Command(("older",), ("store", "rm", "older", "run/*", "bad/*"), store_at("older")),
    "merge": Command(("bank", "bank-2"), ("store", "merge", "bank", "bank-2", "new"), soundness_of("new")),
    "split": Command(
        ("bank",), ("store", "split", "bank", "parts", "--by", "label"), soundness_of("parts/wave", "parts/none")
    ),
    "repair": Command(("broken",), ("store", "repair", "broken"), soundness_of("broken")),
    "import npz": _import("all.npz", "--describe", "model=a"),
    "import parquet": _import("all.parquet"),
    "import tar": _import("tars"),
    "export npy": _export("npy", "out"),
    "export parquet": _export("parquet", "out.parquet"),
    "export webdataset": _export("webdataset", "out"),
    "export fiftyone": Command(
        ("bank", "run", "spans.csv"),
        ("store", "export", "bank", "out", "--format", "fiftyone", "--run", "run", "--spans", "spans.csv"),
        tree_at("out"),
    ),
    "prompts": Command(
        ("bank", "names.npz", "classes.txt"),
        ("prompts", "classes.txt", "out.h5", "--like", "bank", "--import", "names.npz"),
        tree_at("out.h5"),
    ),
    "train": _train(),
    "train --overwrite": _train("--seed", "1", "--overwrite", needs=("run",)),
    "train, auto": Command(("bank",), ("train", "bank", "run", "--budget", "0.001"), run_at("run")),
    "adapt": Command(("tokens",), ("adapt", "tokens", "adapted", *ADAPTING), encoder_at("adapted")),
    "adapt --overwrite": Command(
        ("tokens", "adapted"), ("adapt", "tokens", "adapted", *ADAPTING, "--overwrite"), encoder_at("adapted")
    ),
    "adapt --text-adapter": Command(
        ("tokens",),
        ("adapt", "tokens", "adapted", "--method", "ted", "--blocks", "1", "--text-adapter", "--epochs", "1"),
        encoder_at("adapted"),
    ),
    "adapt --resume": Command(
        ("tokens",),
        ("adapt", "tokens", "adapted", *ADAPTING[:6], "--epochs", "2", "--resume", "--save-every", "0"),
        encoder_at("adapted"),
    ),
    "temperature": Command(("bank", "bare"), ("temperature", "bare"), run_at("bare")),
    "temperature --by-class": Command(("bank", "run"), ("temperature", "run", "--by-class"), run_at("run")),
    "temperature --on": Command(("bank", "bare"), ("temperature", "bare", "--on"), run_at("bare"), again=False),
    "temperature --off": Command(("bank", "run"), ("temperature", "run", "--off"), run_at("run")),
    "suspects": Command(("bank",), ("suspects", "bank", "--csv", "suspects.csv"), tree_at("suspects.csv")),
    "thresholds": _thresholds("--precision", "0.8"),
    "thresholds --off": _thresholds("--off"),
    "eval": _eval("--protocol", "zero-shot-full", "--prompts", "prompts.h5", needs=("prompts.h5",)),
    "eval, one more": _eval("--protocol", "supervised", "--recipe", "ridge", needs=("results.jsonl",)),
    "eval --keep-runs": _eval("--protocol", "supervised", "--recipe", "ridge", "--keep-runs", "runs"),
    "train --resume": Command(
        ("bank",),
        ("train", "bank", "run", *QUICK[2:4], "--head", "conv1d", "--epochs", "3", "--resume", "--save-every", "0"),
        run_at("run"),
    ),
    "train --resume --save-every, auto": Command(("bank",), _train_auto, run_at("run")),
    "evaluate": Command(("bank", "run"), ("evaluate", "run", "--split", "val"), measured_at("run")),
    "compare": Command(
        ("bank",), ("compare", "bank", "table", "--recipes", "linear-probe", "--seeds", "2", "--set", "epochs=1")
    ),
    "fewshot-train": Command(
        ("bank",),
        ("fewshot-train", "bank", "matcher", "--steps", "2", *EPISODES),
        matcher_at("matcher"),
    ),
    "fewshot-train --overwrite": Command(
        ("bank", "matcher"),
        ("fewshot-train", "bank", "matcher", "--overwrite", "--steps", "3", *EPISODES),
        matcher_at("matcher"),
    ),
    "fewshot-compare": Command(
        ("bank",),
        ("fewshot-compare", "bank", "table", "--matchers", "mean", "--shots", "1", "--episodes", "2", "--way", "2"),
    ),
    "index": Command(("bank",), ("index", "bank", "new"), index_at("new")),
    "index --overwrite": Command(
        ("bank", "plain"), ("index", "bank", "plain", "--split", "test", "--overwrite"), index_at("plain")
    ),
    "index --update": Command(("hand", "index"), ("index", "hand", "index", "--update"), index_at("index")),
    "search --export-clips": _search("--id", "one", "--export-clips", "clips"),
    "search --export-clips --exact": _search("--id", "one", "--export-clips", "clips", "--exact"),
    "search --sheet": _search("--id", "one", "--sheet", "sheet.png", reads=tree_at("sheet.png")),
    "search --preview": _search("--id", "one", "--preview", "hits.webp", reads=tree_at("hits.webp")),
    "search --preview, a folder": _search("--id", "one", "--preview", "previews"),
    "search, the names beside an index": Command(("film-index",), _keep_names, able=True),
    "index --level": Command(("bank",), ("index", "bank", "new", "--level", "frame", "--type", "ivf"), index_at("new")),
    "index --update --remove": Command(
        ("hand", "near"), ("index", "hand", "near", "--update", "--remove", "wave-train-1"), index_at("near")
    ),
    "index --rows": Command(
        ("bank",), ("index", "bank", "new", "--level", "frame", "--rows", "float16"), index_at("new")
    ),
    "index-merge": Command(("plain",), ("index-merge", "plain", "plain", "new"), index_at("new")),
    "index-merge --overwrite": Command(
        ("plain", "near"), ("index-merge", "plain", "plain", "near", "--overwrite"), index_at("near")
    ),
    "enroll": _enrolling("enroll", "more", "--id", "clap-train-0"),
    "unenroll": _enrolling("unenroll", "own"),
    "calibrate": _enrolling("calibrate", "--share", "0.2"),
    "predict --csv": Command(
        ("bank", "run"),
        ("predict", "bank", "--split", "train", "--run", "run", "--csv", "out.csv"),
        tree_at("out.csv"),
    ),
    "build, labels": Command(
        ("classes.txt",), ("labels", "build", "out.h5", "--from", "classes.txt", "--model", "demo"), tree_at("out.h5")
    ),
    "label-store --write": Command(
        ("bank", "run"),
        ("label-store", "bank", "--run", "run", "--write", "--threshold", "0", "--out", "out.csv"),
        store_at("bank"),
        again=False,
    ),
    "report": Command(("bank", "run"), ("report", "run", "page.html", "--pictures", "0"), tree_at("page.html")),
    "shots --csv": Command(("bank",), ("shots", "bank", "--csv", "out.csv"), tree_at("out.csv")),
    "shots --csv, as JSON": Command(("bank",), ("shots", "bank", "--csv", "out.json"), tree_at("out.json")),
    "export-head": Command(("run",), ("export-head", "run", "head.safetensors")),
    "import-checkpoint": Command(
        ("best.pt", "classes.txt"),
        ("import-checkpoint", "best.pt", "run", "--labels", "classes.txt", "--model", "demo"),
        run_at("run"),
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
