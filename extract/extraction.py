"""Extraction: how videos are embedded, as asked for or as the store was made, and the result for each."""

import functools
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from framebank.extract.cluster.remote_worker import Work
from framebank.extract.decoders.decode import DECODERS, decode_clip, decoder_versions
from framebank.extract.decoders.pixels import SQUARE, reading_for
from framebank.extract.encoders.encoder import PRECISIONS, Encoder
from framebank.extract.encoders.makers import DEFAULT, clip_frames_of, recorded_weights, settle
from framebank.extract.fill import Embed, LocalEngine, store_spec
from framebank.extract.pipeline import Outcome
from framebank.extract.pool import WaitingWorkers
from framebank.extract.sampling import read_sampling
from framebank.extract.worker import Task
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.reader import ShardReader
from framebank.store.shard import shard_paths
from framebank.store.spec import FeatureSpec
from framebank.store.upkeep.adoption import shards_of_parts
from framebank.store.upkeep.plan import Plan
from framebank.store.upkeep.status import drift_report

# What a store says about itself, under the names by which it is asked for.
SAME_NAMES = ("model", "sampling", "view", "streams")


@dataclass(frozen=True)
class Setup:
    """How videos are embedded. None means: as in the store, or the usual value if there is no store yet."""

    model: str | None = None
    pretrained: str | None = None
    sampling: str | None = None
    view: str | None = None
    streams: str | None = None
    precision: str | None = None
    device: str | None = None
    decoder: str | None = None
    pixels: str | None = None
    deinterlace: bool = False
    use_damaged: bool = False
    compiled: bool = False
    batch_size: int = 64
    time_limit: float = 300.0

    def like(self, folder: Path) -> "tuple[Setup, dict[str, str]]":
        """Return this setup with its open values filled from the store in a folder, and the values taken from there.

        DataError if the store was made with another model, sampling, view or streams than this one asks for.
        """
        spec = spec_of(folder)
        if spec is None:
            return self, {}
        return self._settled(spec.model)._like(spec, folder)

    def _settled(self, there: str) -> "Setup":
        """Return this setup with the model's name as a spec has it, if that is not the name `there` already."""
        if self.model in (None, there):
            return self
        try:
            model, pretrained = settle(str(self.model), self.pretrained)
        except DataError:  # of a name without weights, which may be those of the store
            return replace(self, model=str(self.model).removeprefix(f"{DEFAULT}:"))
        return replace(self, model=model, pretrained=pretrained)

    def _like(self, spec: FeatureSpec, folder: Path) -> "tuple[Setup, dict[str, str]]":
        for name in SAME_NAMES:
            asked, there = getattr(self, name), getattr(spec, name)
            if asked is not None and asked != there:
                raise DataError(
                    f"{folder} was made with {name} {there!r}, this extraction with {name} {asked!r}; "
                    "they cannot be mixed"
                )
        kind, _, precision = spec.precision.partition("-")
        decoder = spec.decoder.partition(" ")[0]
        found: dict[str, str | None] = {
            **{name: getattr(spec, name) for name in SAME_NAMES},
            "pretrained": recorded_weights(spec.model, spec.pretrained),
            "precision": precision if precision in PRECISIONS else None,
            "device": "cpu" if kind == "cpu" else None,
            "decoder": decoder if decoder in DECODERS and decoder != "pyav" else None,
            "pixels": spec.pixels,
        }
        taken: dict[str, Any] = {
            name: value for name, value in found.items() if value is not None and getattr(self, name) is None
        }
        told = {name: value for name, value in taken.items() if value != USUAL.get(name)}
        return replace(self, **taken), told

    def with_defaults(self) -> "Setup":
        """Return this setup with the usual values for all open ones; DataError without a model.

        A model that reads clips has so many frames of each video that they fill whole clips.
        """
        if not self.model:
            raise DataError("no model is given; expected one, such as PE-Core-B-16 with the pretrained weights meta")
        if self.sampling is None and (size := clip_frames_of(self.model, self.pretrained)) > 1:
            return replace(self, sampling=f"segments:{-(-USUAL_FRAMES // size) * size}").with_defaults()
        usual: dict[str, Any] = {name: value for name, value in USUAL.items() if getattr(self, name) is None}
        return replace(self, **usual)

    def work(self) -> Work:
        """Return what is done to every video, on any machine; DataError if that is impossible."""
        whole = self.with_defaults()
        chosen = read_sampling(str(whole.sampling))
        if "trunk" in str(whole.streams) and not chosen.is_fixed:
            raise DataError(
                "the stream trunk needs a fixed number of frames of each video; expected --frames or --clips"
            )
        if "patch_mean" in str(whole.streams) and not chosen.is_fixed:
            raise DataError(
                "the stream patch_mean is a mean over a fixed number of frames; expected --frames or --clips"
            )
        make_encoder = functools.partial(
            Encoder,
            str(whole.model),
            whole.pretrained,
            precision=str(whole.precision),
            view=str(whole.view),
            streams=str(whole.streams),
            compile=whole.compiled,
        )
        reading = reading_for(self.pixels or "", deinterlace=whole.deinterlace, use_damaged=whole.use_damaged)
        return Work(
            make_encoder,
            chosen,
            functools.partial(decode_clip, decoder=str(whole.decoder), reading=reading),
            functools.partial(decoder_versions, decoder=str(whole.decoder)),
            batch_size=whole.batch_size,
            time_limit=whole.time_limit,
            pixels=reading.pixels,
        )


USUAL_FRAMES = 16  # of a video
HALF = 2  # bytes of a number in 16 bits
USUAL = {
    "sampling": f"segments:{USUAL_FRAMES}",
    "view": "centre",
    "streams": "frame",
    "precision": "auto",
    "device": "auto",
    "decoder": "auto",
    "pixels": SQUARE,
}


def spec_of(folder: Path) -> FeatureSpec | None:
    """Return how the store in a folder was made; None if it holds no embedding yet.

    What the workers of a cluster left in its part stores counts too.
    """
    first = next(iter((*shard_paths(folder), *shards_of_parts(folder))), None)
    if first is None:
        return None
    with ShardReader(first) as reader:
        return reader.contents.spec


def left_out(folder: Path, video_ids: Iterable[str]) -> dict[str, str]:
    """Return what was left out of each damaged video among these, by video_id, from the store in a folder."""
    decoders = FeatureStore(folder).decoders if shard_paths(folder) else {}
    notes = {name: decoders.get(name, "").partition(" (")[2].rstrip(")") for name in video_ids}
    return {name: note for name, note in notes.items() if note}


class Engine(Protocol):
    """What embeds videos: this machine, or a cluster."""

    @property
    def spec(self) -> FeatureSpec:
        """How it makes a store."""
        ...

    @property
    def random_weights(self) -> bool:
        """Whether its encoder has no trained weights."""
        ...

    @property
    def embed(self) -> Embed:
        """Embed the videos of a plan."""
        ...


class LocalMachine:
    """An engine of one machine, with an encoder on each of some devices; `waiting_workers` have started already.

    `video_bytes` is what a video takes in a store if its streams hold all tokens of a frame, or else 0.
    """

    def __init__(
        self, work: Work, *, devices: list[str], num_workers: int, waiting_workers: WaitingWorkers | None = None
    ) -> None:
        encoders = [work.make_encoder(device=name) for name in devices]
        first: Any = encoders[0]
        self.random_weights: bool = first.random_weights
        self.video_bytes = _video_bytes(first, work)
        self.spec = store_spec(
            first.spec, sampling=work.sampling.spec, decoder=work.decoder_versions(), pixels=work.pixels
        )
        self.embed: Embed = LocalEngine(
            Task(work.sampling, first.preprocessing, work.decode, clip_frames=first.clip_frames),
            encoders,
            batch_size=work.batch_size,
            num_workers=num_workers,
            time_limit=work.time_limit,
            waiting_workers=waiting_workers,
        ).embed


def _video_bytes(encoder: Any, work: Work) -> int:
    """Return the size of a video's rows where the stream trunk is wanted, found with one black picture; else 0."""
    if "trunk" not in encoder.spec.stream_names:
        return 0
    black = np.zeros((1, *encoder.preprocessing.size, 3), dtype=np.uint8)
    picture = HALF * sum(int(rows[0].size) for rows in encoder.encode_frames(black).values())
    return picture * work.sampling.num_rows * len(encoder.preprocessing.views)


class Tally:
    """The results of the videos of one extraction."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._started = time.perf_counter()
        self._outcomes: dict[str, Outcome] = {}

    def add(self, outcome: Outcome) -> None:
        """Count a video; if it is reported again, the last report counts."""
        self._outcomes[outcome.video.video_id] = outcome

    @property
    def failed(self) -> list[Outcome]:
        """The videos that gave no embedding."""
        return [outcome for outcome in self._outcomes.values() if outcome.error]

    @property
    def embedded(self) -> list[str]:
        """The video_ids of those that were embedded."""
        return [name for name, outcome in self._outcomes.items() if not outcome.error]

    @property
    def without_embedding(self) -> int:
        """How many of the given videos have no embedding: they failed now or before, and have no older rows."""
        again = {video.video_id for video in self.plan.refreshed}
        return len([one for one in self.failed if one.video.video_id not in again]) + len(self.plan.failed_before)

    def report(self) -> dict[str, Any]:
        """Return the counts, and the changes of files by name: the contract for scripts."""
        plan = self.plan
        given = {video.video_id for video in plan.given.videos} - set(plan.pruned)
        return {
            "videos": len(plan.given),
            "embedded": len(self._outcomes) - len(self.failed),
            "failed": len(self.failed),
            "failed_before": len(plan.failed_before),
            "already_there": len(given) - len(plan.todo) - len(plan.failed_before),
            "refreshed": len([v for v in plan.refreshed if not self._has_failed(v.video_id)]),
            **drift_report(plan),
            "frames": sum(outcome.num_frames for outcome in self._outcomes.values()),
            "seconds": round(time.perf_counter() - self._started, 2),
        }

    def _has_failed(self, video_id: str) -> bool:
        outcome = self._outcomes.get(video_id)
        return outcome is None or bool(outcome.error)
