"""Labellers: what labels many videos, each prepared once: a model, or an index."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from framebank.heads.bank import load_bank
from framebank.heads.confidence.conformal import fewest, label_sets
from framebank.heads.evaluation.zeroshot import zero_shot_model
from framebank.heads.labelling.answers import Answer, Neighbour, answer_above, answer_of_scores, answers_of_hits
from framebank.heads.labelling.neighbours import query_model
from framebank.heads.labelling.prototypes import SAME, place_of, prototypes
from framebank.heads.model import Model
from framebank.heads.moments.rows import rows_in_time
from framebank.heads.moments.stretches import best_stretches, track_of
from framebank.heads.predictions import embed_bank, predict
from framebank.heads.training.run import Run
from framebank.store.counts import counted
from framebank.store.errors import DataError, warn
from framebank.store.indexes.index import Hit, Index
from framebank.store.memory import Rows
from framebank.store.prompts import PromptBank
from framebank.store.spec import FeatureSpec
from framebank.store.vectors import has_direction
from framebank.store.videos.labels import LabelSet
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.video import Video


class Labeller(Protocol):
    """A source of labels: what rows it needs, and its answers about them."""

    stream: str

    def require(self, spec: FeatureSpec, *, where: object) -> None:
        """Raise DataError if rows were embedded in another way than this labeller knows."""
        ...

    def answers(self, videos: Sequence[Video], rows: Rows) -> list[list[Answer]]:
        """Return its answers about each video. `rows` has all of the videos."""
        ...


@dataclass(frozen=True)
class Sets:
    """The conformal sets of a run: `level` of them hold the true label, with `by_class` in each class separately."""

    labels: tuple[str, ...]
    known: tuple[float, ...]
    classes: tuple[int, ...]
    level: float
    where: object

    @classmethod
    def of(cls, run: Run, *, level: float, by_class: bool, where: object) -> "Sets":
        """Return the sets of a run from its validation videos. DataError if it has none, or too few."""
        if run.recipe.is_multi_label:
            raise DataError(
                f"{where}: its videos may have several labels; expected a run of one label a video for sets"
            )
        scaling = run.model.scaling
        classes = scaling.classes if scaling and by_class else ()
        found = cls(run.labels, scaling.scores if scaling else (), classes, level, where)
        found(np.zeros((1, len(run.labels))))
        few = int((np.bincount(classes, minlength=len(run.labels)) < fewest(level)).sum()) if by_class else 0
        if few:
            warn(
                f"{where}: {few} of {counted(len(run.labels), 'class', 'classes')} have fewer than {fewest(level)} "
                f"validation videos, which sets of {100 * level:g} % need, so they are in every set"
            )
        return found

    def __call__(self, scores: np.ndarray) -> list[tuple[str, ...]]:
        """Return the set of each video from probabilities (V, C), the likeliest label first."""
        held = label_sets(scores, level=self.level, known=self.known, classes=self.classes, where=self.where)
        order = np.argsort(-scores, axis=1, kind="stable")
        return [
            tuple(self.labels[place] for place in places if own[place])
            for own, places in zip(held, order.tolist(), strict=True)
        ]


class ModelLabeller:
    """A run, or texts: the probability of each class. An answer lists the `top` likeliest classes."""

    def __init__(
        self,
        by: str,
        model: Model,
        labels: tuple[str, ...],
        *,
        spec: FeatureSpec,
        where: object,
        top: int,
        device: torch.device,
        num_frames: int = 0,
        stream: str = "frame",
        multi_label: bool = False,
        sets: Sets | None = None,
        abstain_below: float = 0.0,
        shows: np.ndarray | None = None,
        thresholds: np.ndarray | None = None,
    ) -> None:
        self._shows, self._thresholds = shows, thresholds
        self.by = by
        self.stream = stream
        self._model, self._labels = model, labels
        self._spec, self._where = spec, where
        self._top, self._device = top, device
        self._num_frames, self._multi_label = num_frames, multi_label
        self._sets, self._abstain_below = sets, abstain_below

    @classmethod
    def of_run(
        cls,
        run: Run,
        *,
        where: object,
        top: int,
        device: torch.device,
        sets: float | None = None,
        sets_by_class: bool = False,
        abstain_below: float = 0.0,
    ) -> "ModelLabeller":
        """Ask a run. It gives no label less likely than `abstain_below`; `sets` adds conformal label sets.

        If it has thresholds for several labels, its label is all that are above theirs.
        """
        return cls(
            "run",
            run.model,
            run.labels,
            spec=run.spec,
            where=where,
            top=top,
            device=device,
            num_frames=run.recipe.frames,
            stream=run.recipe.stream,
            multi_label=run.recipe.is_multi_label,
            sets=Sets.of(run, level=sets, by_class=sets_by_class, where=where) if sets is not None else None,
            abstain_below=abstain_below,
            thresholds=run.thresholds,
        )

    @classmethod
    def of_texts(
        cls, prompts: PromptBank, *, where: object, top: int, device: torch.device, shows_seconds: bool = False
    ) -> "ModelLabeller":
        """Ask the texts of classes, as zero-shot does with the probabilities of its templates.

        With `shows_seconds`, an answer says where in the video its first label shows best. An encoder that was trained
        with a sigmoid judges each label separately: the probabilities need not sum to one.
        """
        model, names = zero_shot_model(prompts, scoring="probabilities"), prompts.labels.names
        return cls(
            "texts",
            model,
            names,
            spec=prompts.encoder,
            where=where,
            top=top,
            device=device,
            shows=prompts.class_embeddings() if shows_seconds else None,
            multi_label=prompts.logit_bias is not None,
        )

    def require(self, spec: FeatureSpec, *, where: object) -> None:
        """Raise DataError if rows come from another encoder. Other frames and views are allowed, as in `evaluate`."""
        self._spec.require_same_encoder(spec, mine=self._where, theirs=where)

    def answers(self, videos: Sequence[Video], rows: Rows) -> list[list[Answer]]:
        """Return one answer for each video, with the scores of `evaluate`."""
        bank = load_bank(
            rows,
            _without_labels(videos),
            LabelSet(self._labels),
            device=self._device,
            num_frames=self._num_frames,
            stream=self.stream,
            multi_label=self._multi_label,
        )
        found = predict(self._model, bank, labels=self._labels, device=self._device)
        if self._thresholds is None:
            told = answer_of_scores(self.by, found.scores, self._labels, top=self._top, multi_label=self._multi_label)
        else:
            told = answer_above(self.by, found.scores, self._labels, top=self._top, thresholds=self._thresholds)
        if self._sets:
            told = [replace(one, label_set=own) for one, own in zip(told, self._sets(found.scores), strict=True)]
        if self._shows is not None:
            told = [self._with_seconds(video, one, rows) for video, one in zip(videos, told, strict=True)]
        return [[replace(one, passes=one.passes and one.ranked[0][1] >= self._abstain_below)] for one in told]

    def _with_seconds(self, video: Video, answer: Answer, rows: Rows) -> Answer:
        """Return an answer with the stretch of the video that fits its first label best, if it has several rows."""
        assert self._shows is not None
        found, times = rows_in_time(rows[video.video_id])
        if len(times) < 2:
            return answer
        text = self._shows[self._labels.index(answer.ranked[0][0])]
        (best,) = best_stretches(track_of(video.video_id, found, times, text, start=video.start or 0.0, end=video.end))
        return replace(answer, span=(best.start, best.end))


class IndexLabeller:
    """An index: the answers of its enrolled classes, and the votes of the k nearest of its own videos.

    A video that is in the index does not vote for itself. An own video is left out if it has the same embedding (a
    cosine of 0.99) and the same video_id, or the same seconds of the same file; the next nearest votes in its place.
    With `knows_itself` it does vote. A video whose embedding is all zeros, or has a value that is not a number, has no
    neighbours and no label.
    """

    stream = "frame"

    def __init__(self, index: Index, *, where: Path, k: int | None = None, knows_itself: bool = False) -> None:
        self.index = index
        self.k = min(10, index.num_own) if k is None else k
        self._where = where
        self._knows_itself = knows_itself
        self._model, self._num_frames = query_model(index)
        self._means = prototypes(index) if index.enrolment.labels else None
        own = index.videos[: index.num_own]
        self._places = {video.video_id: place_of(video) for video in own}
        # In features of another program, all videos may come from one file.
        self._is_place_own = len(set(self._places.values())) == len(own)

    def require(self, spec: FeatureSpec, *, where: object) -> None:
        """Raise DataError if rows were embedded in another way than the index's own videos."""
        mine = self.index.spec
        alike = replace(spec, precision=mine.precision, decoder=mine.decoder, streams=mine.streams)
        mine.require_equal(alike, mine=self._where, theirs=where)

    def answers(self, videos: Sequence[Video], rows: Rows) -> list[list[Answer]]:
        """Return the answers for each video. If no neighbour has a label, they are votes that do not pass."""
        bank = load_bank(rows, _without_labels(videos), None, device=torch.device("cpu"), num_frames=self._num_frames)
        vectors = embed_bank(self._model, bank, device=torch.device("cpu"))
        usable = has_direction(vectors)
        wanted = min(len(self.index), self.k + 1 + len(self.index.enrolment))
        found = iter(self.index.search(vectors[usable], wanted) if usable.any() else ())
        told = []
        for video, vector, comparable in zip(videos, vectors, usable.tolist(), strict=True):
            if not comparable:
                told.append([Answer("neighbours", (), passes=False)])
                continue
            hits = next(found)
            voters = [hit for hit in hits if not hit.enrolled and not self._is_itself(hit, video)][: self.k]
            found_by = tuple(Neighbour.of(hit) for hit in voters if hit.label)
            told.append(
                [
                    replace(one, neighbours=found_by) if one.by == "neighbours" else one
                    for one in self._answers(vector[None], voters)
                ]
            )
        return told

    def _answers(self, query: np.ndarray, voters: Sequence[Hit]) -> list[Answer]:
        if self._means is None and not any(hit.label for hit in voters):
            return [Answer("neighbours", (), passes=False)]
        return answers_of_hits(self.index, query, voters, means=self._means)

    def _is_itself(self, hit: Hit, video: Video) -> bool:
        if self._knows_itself:
            return False
        same = hit.video_id == video.video_id
        if self._is_place_own:
            same = same or self._places[hit.video_id] == place_of(video)
        return same and hit.score >= SAME


def _without_labels(videos: Sequence[Video]) -> Manifest:
    """Return the videos without their labels, so that a label that the labeller lacks is not an error."""
    return Manifest(tuple(replace(video, label="") for video in videos))
