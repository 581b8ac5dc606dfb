"""The tour: the whole chain, on rendered clips with the tiny CLIP, through the calls of the library."""

import csv
import functools
import json
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import framebank as fb
from framebank.demo.actions import ACTIONS
from framebank.demo.clips import render_clips
from framebank.demo.table import Row, count, predictions_of, table_lines
from framebank.heads.predictions import Predictions
from framebank.heads.training.recipe import Recipe
from framebank.library.searching.sheet import Section, draw_sheet, strip_of
from framebank.library.watch import Watch, unwatched
from framebank.store.files.place import AT_WORK
from framebank.store.files.replacing import require_new_folder, write_text

LABELS = Path(__file__).parent / "labels.json"
TEXT_QUERY = "a person lying on the floor"
NEXT_QUERY = "a person holding a barbell"  # for the reader to try: only one class has a barbell

# Runs by the name of their folder. No epoch is chosen: all training clips are used, and the last epoch is kept.
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


class Tour:
    """The demo in the folder `out`: videos, store, prompts, runs, indexes and a contact sheet.

    There are `num_train` and `num_test` clips of each class, and a run for each of `recipes`. DataError if the
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
        self.seed, self.device = seed, device
        self.started = time.perf_counter()
        self.rows: list[Row] = []
        _clear(out, seed=seed)

    def run(self, watch: Watch = unwatched) -> None:
        """Run the whole chain. `watch` shows its progress."""
        self._render(watch)
        self._extract(watch)
        self._zero_shot()
        for name, recipe in self.recipes.items():
            self._train(name, replace(recipe, seed=self.seed), watch)
        self._search()
        self._draw()

    def _render(self, watch: Watch) -> None:
        clips = render_clips(self.out / "videos", num_train=self.num_train, num_test=self.num_test, seed=self.seed)
        num_clips = len(ACTIONS) * (self.num_train + self.num_test)
        for _ in watch(clips, total=num_clips, unit="clip", title="render"):
            pass

    def _extract(self, watch: Watch) -> None:
        manifest = self.out / "videos" / "manifest.csv"
        shown = functools.partial(watch, title="extract")
        self.store = fb.extract(manifest, self.out / "store", model="demo", frames=16, device=self.device, watch=shown)
        self.takes = _read_takes(manifest)
        self.test = self.store.split("test")

    def _zero_shot(self) -> None:
        for kind in ("names", "descriptions"):
            started = time.perf_counter()
            prompts = fb.prompts(LABELS, self.store, texts=kind, device=self.device)
            prompts.write(self.out / f"{kind}.h5")
            self.labels = prompts.labels.names
            found = fb.predict(self.store, "test", prompts=prompts, top=len(self.labels), device=self.device)
            self._add(f"zero-shot, {kind}", predictions_of(found.labels, self.labels), started=started)

    def _train(self, name: str, recipe: Recipe, watch: Watch) -> None:
        started = time.perf_counter()
        run = fb.train(
            self.store,
            self.out / "runs" / name,
            recipe=recipe,
            labels=LABELS,
            prompts=self.out / "names.h5" if recipe.reads_texts else None,
            device=self.device,
            watch=functools.partial(watch, title=TITLES[name]),
        )
        found = run.predict(self.store, "test", top=len(self.labels))
        self._add(TITLES[name], predictions_of(found, self.labels), started=started)
        if name == "transformer":
            self.run_of_search = run
            started = time.perf_counter()
            self._add("the same, test frames shuffled", self._shuffled(run), started=started)
        run.evaluate(split="test")

    def _shuffled(self, run: fb.TrainedRun) -> Predictions:
        """Return the predictions of a run for the test videos, with the frames of each in a random order."""
        videos = self.test.videos
        frames = [self.store[video.video_id].data for video in videos]
        shape = (len(videos), len(frames[0]))
        orders = torch.rand(shape, generator=torch.Generator().manual_seed(self.seed)).argsort(1).numpy()  # (V, T)
        scores = np.stack([run.score(rows[order]) for rows, order in zip(frames, orders, strict=True)])
        targets = np.array([run.labels.index(video.label) for video in videos])
        return Predictions(tuple(video.video_id for video in videos), scores, targets, run.labels)

    def _search(self) -> None:
        everything = fb.index(self.store, self.out / "index", device=self.device)
        self.hits = everything.search_text(TEXT_QUERY, k=4)
        known = fb.index(
            self.store, self.out / "index-transformer", run=self.run_of_search, split="train", device=self.device
        )
        self.asked = next(v for v in self.test.videos if v.label == "sitting down" and self.takes[v.video_id] == "loop")
        self.answers = known.label(self.asked.path).answers[0].ranked
        self.neighbours = known.search_file(self.asked.path, k=3)

    def _draw(self) -> None:
        """Draw the frames that both searches found."""
        path_of = {video.video_id: video.path for video in self.store.manifest.videos}
        shown = [
            [strip_of(f"{hit.score:.2f}  {hit.video_id}", path_of[hit.video_id]) for hit in hits]
            for hits in (self.hits, self.neighbours)
        ]
        asked = strip_of(f"the clip asked for: {self.asked.video_id}", self.asked.path)
        (answer, share), *_ = self.answers
        votes = f"{answer} ({share:.0%} of the votes of its 10 nearest)"
        sections = [
            Section(f'text search: "{TEXT_QUERY}"', shown[0]),
            Section(f"label search: {self.asked.video_id} -> {votes}", [asked, *shown[1]]),
        ]
        draw_sheet(sections, self.out / "hits.png")

    def _add(self, method: str, found: Predictions, *, started: float) -> None:
        self.rows.append(count(found, method=method, takes=self.takes, seconds=time.perf_counter() - started))

    def report(self) -> dict[str, Any]:
        """Return everything that the tour found, for --json."""
        return {
            "out": str(self.out),
            "seed": self.seed,
            "seconds": round(time.perf_counter() - self.started, 1),
            "videos": len(self.store),
            "rows": [row.report() for row in self.rows],
            "searches": [
                {"query": query, "hits": [{"video_id": h.video_id, "score": h.score, "label": h.label} for h in hits]}
                for query, hits in ((f'"{TEXT_QUERY}"', self.hits), (self.asked.video_id, self.neighbours))
            ],
            "label_search": {"video": self.asked.video_id, "labels": [list(pair) for pair in self.answers]},
            "spec": self.store.spec.to_dict(),
            "framebank": fb.__version__,
        }

    def lines(self, *, program: str = "framebank") -> list[str]:
        """Return what the tour found, as text, and what to try next. `program` is the name of the command."""
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.answers[:3])
        return [
            "",
            f"{len(self.store)} videos embedded, {len(self.labels)} classes: chance is {1 / len(self.labels):.1%}.",
            *table_lines(self.rows),
            "",
            f'text search   "{TEXT_QUERY}": ' + ", ".join(f"{hit.video_id} {hit.score:.2f}" for hit in self.hits[:3]),
            f"label search  {self.asked.video_id}: {shares}; nearest: "
            + ", ".join(hit.video_id for hit in self.neighbours[:2]),
            "",
            f"{self.out}: videos, store, names.h5, descriptions.h5, runs, index, index-transformer, hits.png",
            f"took {time.perf_counter() - self.started:.0f} s; now try:",
            f'{program} search {shlex.quote(str(self.out / "index"))} --text "{NEXT_QUERY}" -k 5',
        ]


def _clear(out: Path, *, seed: int) -> None:
    require_new_folder(out, what="demo")
    marker = out / "demo.json"
    if any(path.name != AT_WORK for path in out.iterdir()) and not marker.exists():
        raise fb.DataError(f"{out}: holds other files; the demo needs a folder of its own")
    write_text(marker, json.dumps({"seed": seed, "framebank": fb.__version__}))
    for name in ("videos", "store", "runs", "index", "index-transformer"):
        shutil.rmtree(out / name, ignore_errors=True)


def _read_takes(manifest: Path) -> dict[str, str]:
    with manifest.open(newline="", encoding="utf-8") as file:
        return {row["video_id"]: row["take"] for row in csv.DictReader(file)}
