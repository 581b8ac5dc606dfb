"""The tour: the whole chain, on rendered clips with the tiny CLIP, through the functions that the commands call."""

import csv
import json
import os
import shlex
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from framebank import __version__
from framebank.demo.actions import ACTIONS
from framebank.demo.clips import render_clips
from framebank.demo.sheet import Section, Strip, draw_sheet
from framebank.demo.table import Row, count, table_lines
from framebank.extract.decoders.decode import decode_clip, decoder_versions, read_clip
from framebank.extract.encoders.encoder import Encoder, resolve_device
from framebank.extract.fill import fill_store, store_spec
from framebank.extract.pipeline import embed_clip
from framebank.extract.prompts import TEMPLATES, embed_prompts
from framebank.extract.sampling import read_sampling, segment_indices
from framebank.extract.worker import Job, Task
from framebank.heads.bank import Bank, load_bank
from framebank.heads.evaluation.evaluate import evaluate_run
from framebank.heads.evaluation.zeroshot import zero_shot_model
from framebank.heads.labelling.answers import label_by_index
from framebank.heads.labelling.neighbours import index_store, pool_query
from framebank.heads.model import Model
from framebank.heads.predictions import predict
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError, FeatureStore, LabelSet, Manifest, PromptBank
from framebank.store.files.place import AT_WORK
from framebank.store.files.replacing import require_new_folder, write_text
from framebank.store.indexes.index import Hit

LABELS = Path(__file__).parent / "labels.json"
SAMPLING = read_sampling("segments:16")
TEXT_QUERY = "a person lying on the floor"
NEXT_QUERY = "a person holding a barbell"  # for the reader to try: one class alone has a barbell

# Runs by the name of their folder. No epoch is chosen, so that every training clip is trained on and the last is kept.
TRANSFORMER = Recipe(head="transformer", classifier="text", loss="kl", lr=5e-4, epochs=100, val_fraction=0.0)
PROBE = Recipe(head="mean", classifier="linear", loss="ce", lr=1e-2, weight_decay=0.01, epochs=60, val_fraction=0.0)
RECIPES = {
    "linear-probe": PROBE,
    "transformer": TRANSFORMER,
    "transformer-1-shot": replace(TRANSFORMER, shots=1),
    "transformer-2-shot": replace(TRANSFORMER, shots=2),
    "transformer-4-shot": replace(TRANSFORMER, shots=4),
}
TITLES = {
    "linear-probe": "mean + linear probe",
    "transformer": "transformer (ActionCLIP)",
    "transformer-1-shot": "transformer, 1-shot",
    "transformer-2-shot": "transformer, 2-shot",
    "transformer-4-shot": "transformer, 4-shot",
}


@dataclass(frozen=True)
class Stage:
    """One part of the tour: steps to be taken one after the other, and how many there will be."""

    title: str
    steps: Iterable[Any]
    total: int
    unit: str


class Tour:
    """The demo in the folder `out`: videos, store, prompts, runs, indexes and a contact sheet.

    There are `num_train` and `num_test` clips of each class, and a run for each of `recipes`. DataError where the
    folder holds anything but an earlier demo, which is replaced.
    """

    def __init__(
        self,
        out: Path,
        *,
        seed: int,
        device: str,
        num_train: int = 24,
        num_test: int = 10,
        recipes: Mapping[str, Recipe] = RECIPES,
    ) -> None:
        self.out = out
        self.num_train, self.num_test, self.recipes = num_train, num_test, recipes
        self.seed = seed
        self.device = resolve_device(device)
        self.started = time.perf_counter()
        self.rows: list[Row] = []
        self.searches: list[tuple[str, list[Hit]]] = []
        self.answers: list[tuple[str, float]] = []
        self.asked = ""
        _clear(out, seed=seed)

    def stages(self) -> Iterator[Stage]:
        """Yield the parts of the tour, each to be run to its end before the next is asked for."""
        num_clips = len(ACTIONS) * (self.num_train + self.num_test)
        clips = render_clips(self.out / "videos", num_train=self.num_train, num_test=self.num_test, seed=self.seed)
        yield Stage("render", clips, num_clips, "clip")
        yield Stage("extract", self._extract(), num_clips, "video")
        yield Stage("zero-shot", self._zero_shot(), 2, "table row")
        for name, recipe in self.recipes.items():
            yield Stage(TITLES[name], self._train(name, replace(recipe, seed=self.seed)), recipe.epochs, "epoch")
        yield Stage("search", self._search(), 3, "search")

    def _extract(self) -> Iterator[object]:
        manifest = Manifest.read([self.out / "videos" / "manifest.csv"])
        self.encoder = Encoder("demo", device=str(self.device))
        spec = store_spec(self.encoder.spec, sampling=SAMPLING.spec, decoder=decoder_versions())
        self.task = Task(SAMPLING, self.encoder.preprocessing, decode_clip)
        workers = os.cpu_count() or 1
        yield from fill_store(
            self.out / "store", manifest, spec=spec, task=self.task, encoders=[self.encoder], num_workers=workers
        )
        self.store = FeatureStore(self.out / "store")
        self.takes = _read_takes(self.out / "videos" / "manifest.csv")
        self.labels = LabelSet.read(LABELS)
        self.test = load_bank(self.store, self.store.manifest.split("test"), self.labels, device=self.device)

    def _zero_shot(self) -> Iterator[object]:
        for kind, templates in (("names", "actionclip"), ("descriptions", "bare")):
            started = time.perf_counter()
            prompts = embed_prompts(self.labels, self.encoder, templates=TEMPLATES[templates], kind=kind)
            prompts.write(self.out / f"{kind}.h5")
            model = zero_shot_model(prompts, scoring="probabilities")
            self._add(f"zero-shot, {kind}", model, started=started)
            yield kind

    def _train(self, name: str, recipe: Recipe) -> Iterator[object]:
        started = time.perf_counter()
        prompts = PromptBank.read(self.out / "names.h5") if recipe.reads_texts else None
        job = TrainingJob(
            self.store,
            self.store.manifest.split("train"),
            recipe,
            labels=self.labels,
            prompts=prompts,
            device=self.device,
        )
        log = []
        for epoch in job.epochs():
            log.append(epoch)
            yield epoch
        run = job.save(self.out / "runs" / name, log=log)
        self._add(TITLES[name], run.model, started=started)
        if name == "transformer":
            self._add("the same, test frames shuffled", run.model, started=time.perf_counter(), shuffled=True)
        test = self.store.manifest.split("test")
        evaluate_run(run, self.store, test, split="test", device=self.device, folder=self.out / "runs" / name)

    def _search(self) -> Iterator[object]:
        everything, test = self.store.manifest, self.store.manifest.split("test")
        index = index_store(self.store, everything, run=None, run_path=None, device=self.device, split="all")
        index.save(self.out / "index")
        hits = index.search(self.encoder.encode_texts([TEXT_QUERY]), 4)[0]
        yield hits
        path = self.out / "runs" / "transformer"
        known = index_store(
            self.store,
            everything.split("train"),
            run=Run.read(path),
            run_path=path,
            device=self.device,
            split="train",
        )
        known.save(self.out / "index-transformer")
        asked = next(v for v in test.videos if v.label == "sitting down" and self.takes[v.video_id] == "loop")
        embeddings = embed_clip(Job(asked.path), task=self.task, encoder=self.encoder)
        self.asked, self.answers = asked.video_id, label_by_index(known, embeddings, k=10)
        neighbours = known.search(pool_query(known, embeddings), 3)[0]
        yield neighbours
        self.searches = [(f'"{TEXT_QUERY}"', hits), (asked.video_id, neighbours)]
        path_of = {video.video_id: video.path for video in everything.videos}
        answer, share = self.answers[0]
        draw_sheet(
            [
                Section(f'text search: "{TEXT_QUERY}"', [_strip(path_of, hit) for hit in hits]),
                Section(
                    f"label search: {asked.video_id} -> {answer} ({share:.0%} of the votes of its 10 nearest)",
                    [
                        Strip(f"the clip asked for: {asked.video_id}", _frames(asked.path)),
                        *(_strip(path_of, hit) for hit in neighbours),
                    ],
                ),
            ],
            self.out / "hits.png",
        )
        yield self.out / "hits.png"

    def _add(self, method: str, model: Model, *, started: float, shuffled: bool = False) -> None:
        bank = _shuffle(self.test, seed=self.seed) if shuffled else self.test
        predictions = predict(model, bank, labels=self.labels.names, device=self.device)
        self.rows.append(count(predictions, method=method, takes=self.takes, seconds=time.perf_counter() - started))

    def report(self) -> dict[str, Any]:
        """Return everything the tour found, for --json."""
        return {
            "out": str(self.out),
            "seed": self.seed,
            "seconds": round(time.perf_counter() - self.started, 1),
            "videos": len(self.store),
            "rows": [row.report() for row in self.rows],
            "searches": [
                {"query": query, "hits": [{"video_id": h.video_id, "score": h.score, "label": h.label} for h in hits]}
                for query, hits in self.searches
            ],
            "label_search": {"video": self.asked, "labels": [list(pair) for pair in self.answers]},
            "spec": self.store.spec.to_dict(),
            "framebank": __version__,
        }

    def lines(self, *, program: str = "framebank") -> list[str]:
        """Return what the tour found, for a reader, and what to try next, with the name that `program` is called by."""
        (text, hits), (asked, neighbours) = self.searches
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.answers[:3])
        return [
            "",
            f"{len(self.store)} videos embedded, {len(self.labels)} classes: chance is {1 / len(self.labels):.1%}.",
            *table_lines(self.rows),
            "",
            f"text search   {text}: " + ", ".join(f"{hit.video_id} {hit.score:.2f}" for hit in hits[:3]),
            f"label search  {asked}: {shares}; nearest: " + ", ".join(hit.video_id for hit in neighbours[:2]),
            "",
            f"{self.out}: videos, store, names.h5, descriptions.h5, runs, index, index-transformer, hits.png",
            f"took {time.perf_counter() - self.started:.0f} s; now try:",
            f'{program} search {shlex.quote(str(self.out / "index"))} --text "{NEXT_QUERY}" -k 5',
        ]


def _clear(out: Path, *, seed: int) -> None:
    require_new_folder(out, what="demo")
    marker = out / "demo.json"
    if any(path.name != AT_WORK for path in out.iterdir()) and not marker.exists():
        raise DataError(f"{out}: holds other files; the demo needs a folder of its own")
    write_text(marker, json.dumps({"seed": seed, "framebank": __version__}))
    for name in ("videos", "store", "runs", "index", "index-transformer"):
        shutil.rmtree(out / name, ignore_errors=True)


def _frames(path: Path) -> Any:
    return read_clip(path, lambda times: segment_indices(len(times), 6)).data


def _strip(path_of: dict[str, Path], hit: Hit) -> Strip:
    return Strip(f"{hit.score:.2f}  {hit.video_id}", _frames(path_of[hit.video_id]))


def _read_takes(manifest: Path) -> dict[str, str]:
    with manifest.open(newline="", encoding="utf-8") as file:
        return {row["video_id"]: row["take"] for row in csv.DictReader(file)}


def _shuffle(bank: Bank, *, seed: int) -> Bank:
    """The same frames of each video, in an order drawn for it."""
    order = torch.rand(bank.mask.shape, generator=torch.Generator().manual_seed(seed)).argsort(1).to(bank.device)
    return replace(bank, x=bank.x.gather(1, order.unsqueeze(-1).expand_as(bank.x)), mask=bank.mask.gather(1, order))
