"""Extraction: embed the frames of videos into a store, each video once."""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.checks import require_least, typed
from framebank.library.extracted_store import ExtractedStore
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    from framebank.extract.extraction import Engine, Tally
    from framebank.extract.pool import WaitingWorkers
    from framebank.extract.setup import Setup
    from framebank.store import FeatureStore, Manifest
    from framebank.store.upkeep.plan import Choices
    from framebank.store.videos.intake import Intake

# Decoding processes that start while an encoder loads, at most: these cores are then not those that load it. The others
# start when the encoder has to wait.
EARLY_WORKERS = 4
LIMIT = 16.0  # GiB that the tokens of all videos may take


@dataclass(frozen=True)
class VideoSource:
    """The videos to embed: files and folders, official lists that give splits, and the part of all that is meant.

    `with_actions` makes each action of Charades' lists a video. `part` is (i, n): every n-th video from the i-th on.
    `any_suffix` also takes files with an unknown suffix whose content is a video.
    """

    paths: tuple[Path, ...]
    lists: tuple[Path, ...] = ()
    with_actions: bool = False
    part: tuple[int, int] | None = None
    any_suffix: bool = False

    def intake(self, store: Path) -> "Intake":
        """Return the videos, and what was skipped. DataError if the store would lie inside a folder of them."""
        from framebank.store.files.replacing import refuse_inside
        from framebank.store.videos.inputs import read_videos

        refuse_inside(store, self.paths, what="store")
        if not self.any_suffix:
            return read_videos(self.paths)
        from framebank.extract.decoders.probe import is_video  # which loads PyAV

        return read_videos(self.paths, is_video=is_video)

    def manifest(self, intake: "Intake", *, tell: Callable[[str], None]) -> "Manifest":
        """Return the list of the videos that are meant, with their splits; `tell` gets what the lists do not fit."""
        from framebank.store import Manifest
        from framebank.store.videos.labels import warn_of_forms

        manifest = Manifest(intake.videos)
        if self.lists:
            read = manifest.with_actions if self.with_actions else manifest.with_splits
            manifest, notes = read(self.lists)
            tell("\n".join(notes))
        warn_of_forms(manifest.labels)
        return manifest.shard(*self.part) if self.part else manifest

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders and tars, whose files may have changed, moved or gone since they were embedded."""
        from framebank.store.videos.tars import is_tar

        return tuple(path for path in self.paths if path.is_dir() or is_tar(path))


@dataclass(frozen=True)
class Machines:
    """Where videos are embedded: on this machine, or on a Ray cluster.

    `devices` get an encoder each on this machine; without them the device of the setup has the only one. `workers` is
    the number of decoding processes, or of workers of the cluster. `address` is HOST:PORT of a running cluster. `limit`
    is how many GiB the videos may take if a stream keeps all tokens of a frame; a cluster does not embed such streams.
    """

    devices: tuple[str, ...] = ()
    workers: int | None = None
    on_cluster: bool = False
    address: str | None = None
    limit: float = LIMIT

    def waiting_workers(self, store: Path, intake: "Intake") -> "WaitingWorkers":
        """Return decoding processes that start while the encoder loads, for a new store: an old one may be complete."""
        from framebank.extract.pool import WaitingWorkers

        cores = os.cpu_count() or 1
        wanted = min(self.workers or cores, len(intake.videos), max(1, cores // 2), EARLY_WORKERS)
        return WaitingWorkers(0 if store.exists() or self.on_cluster else wanted)

    @contextlib.contextmanager
    def engine(self, setup: "Setup", waiting: "WaitingWorkers") -> Iterator["Engine"]:
        """Give what embeds videos as `setup` says."""
        device = setup.device or "auto"
        if self.on_cluster:
            if "trunk" in (setup.streams or ""):
                raise DataError("a cluster does not embed the stream trunk; expected one machine (--engine local)")
            from framebank.extract.cluster.cluster import Cluster

            with Cluster(setup.work(), address=self.address, num_workers=self.workers, device=device) as cluster:
                yield cluster
            return
        from framebank.extract.extraction import LocalMachine

        names = list(self.devices) or [device]
        num_workers = self.workers or os.cpu_count() or 1
        yield LocalMachine(setup.work(), devices=names, num_workers=num_workers, waiting_workers=waiting)


@typed
def extract(
    videos: "str | Path | Sequence[str | Path]",
    store: str | Path,
    *,
    model: str | None = None,
    pretrained: str | None = None,
    frames: int | None = None,
    fps: float | None = None,
    view: str | None = None,
    streams: str | None = None,
    lists: str | Path | Sequence[str | Path] = (),
    refresh: bool = False,
    prune: bool = False,
    retry_failed: bool = False,
    device: str = "auto",
    precision: str | None = None,
    batch_size: int = 64,
    workers: int | None = None,
    limit: float = LIMIT,
    watch: Watch = unwatched,
) -> "FeatureStore":
    """Embed the frames of videos into the folder `store` and open it. Skip the videos that the store holds already.

    `videos` is a folder of class folders, a CSV of videos, a tar of clips, a video file, or several of these. `model`
    is a model name of open_clip, "timm:NAME", "hf:FOLDER", or "demo". `pretrained` is one of the tags of the model, a
    checkpoint file, or "none" for random weights. A store that exists already knows its model and its sampling.
    `frames` (16) splits each video into that many equal segments and takes their centres; `fps` takes that many frames
    a second instead. `lists` are official split files. `limit` is how many GiB the videos may take if the
    `streams` keep all tokens of a frame, as "frame,trunk:2" does. The `failures` of the store list the videos that
    cannot be read, and a DataWarning counts them. DataError if no video can be embedded, or if the store was made with
    other settings.

    >>> import framebank as fb
    >>> bank = fb.extract("videos/", "bank", model="PE-Core-B-16", pretrained="meta")     # doctest: +SKIP
    >>> bank["juggling/a"].data.shape                                                          # doctest: +SKIP
    (16, 768)
    """
    if frames is not None and fps is not None:
        raise DataError("frames and fps exclude each other; expected one of them")
    for name, value in (("frames", frames), ("batch_size", batch_size), ("workers", workers)):
        require_least(name, value, 1)
    if fps is not None and not fps > 0:
        raise DataError(f"fps is {fps}; expected more than 0")
    sources = [videos] if isinstance(videos, str | Path) else videos
    files = [lists] if isinstance(lists, str | Path) else lists

    from framebank.extract.setup import Setup
    from framebank.store import FeatureStore
    from framebank.store.upkeep.plan import Choices

    done = embed_videos(
        VideoSource(tuple(map(Path, sources)), lists=tuple(map(Path, files))),
        Path(store),
        Setup(
            model=model,
            pretrained=pretrained,
            sampling=f"fps:{fps:g}" if fps else f"segments:{frames}" if frames else None,
            view=view,
            streams=streams,
            precision=precision,
            device=None if device == "auto" else device,
            batch_size=batch_size,
        ),
        Machines(workers=workers, limit=limit),
        choices=Choices(retry_failed=retry_failed, refresh=refresh, prune=prune),
        tell=_silent,
        watch=watch,
    )
    done.require_some()
    if left := done.intake.told():
        warn(left)
    for line in done.drift_lines(refresh="refresh=True", prune="prune=True"):
        warn(f"{done.path}: {line}")
    if done.without_embedding:
        told = f"{done.without_embedding} of {counted(done.num_videos, 'video')} have no embedding"
        warn(f"{told}: {done.path / 'failed.csv'} tells why")
    return FeatureStore(done.path)


def embed_videos(
    source: VideoSource,
    store: Path,
    setup: "Setup",
    machines: Machines,
    *,
    choices: "Choices",
    tell: Callable[[str], None],
    begin: Callable[["Engine"], None] | None = None,
    watch: Watch = unwatched,
) -> ExtractedStore:
    """Embed the videos of a source that a store lacks, and return what became of each.

    What is open in `setup` is as in the store, or the usual value. `tell` gets a line on what was taken from the store,
    on files that are no videos, and on lists, before the first video is embedded, and `begin` gets what embeds them;
    without it a DataWarning tells of random weights. If this is stopped, what was embedded is kept. DataError as for
    `extract`, but not if no video can be embedded: `require_some` of the result says that.
    """
    intake = source.intake(store)
    with machines.waiting_workers(store, intake) as waiting:
        setup, taken = setup.like(store)
        if taken:
            tell(f"as in {store}: {', '.join(f'{name} {value}' for name, value in taken.items())}")
        if left := intake.told():
            tell(left)
        manifest = source.manifest(intake, tell=tell)
        with machines.engine(setup, waiting) as engine:
            (begin or _warn_if_random)(engine)
            choices = replace(choices, roots=source.roots)
            if told := _require_size(store, manifest, engine, limit=machines.limit):
                tell(told)
            tally = _fill(store, manifest, engine, choices, watch=watch)
    from framebank.extract.extraction import left_out

    return ExtractedStore(
        path=store,
        num_videos=len(manifest),
        tally=tally,
        counts=tally.report(),
        intake=intake,
        choices=choices,
        damaged=left_out(store, tally.embedded) if setup.use_damaged else {},
        encoder=engine.spec.encoder,
        rounding=_rounding(store, engine.spec.packed_streams),
    )


def _rounding(folder: Path, packed: Collection[str]) -> dict[str, float]:
    """Return what each stream in 8 bits lost by that, as a share of its size."""
    from framebank.store import FeatureStore
    from framebank.store.shard import shard_paths

    if not packed or not shard_paths(folder):  # without either there is nothing to open the store for
        return {}
    store = FeatureStore(folder)
    return {name: store.rounding_error(name) for name in sorted(packed)}


def _fill(store: Path, manifest: "Manifest", engine: "Engine", choices: "Choices", *, watch: Watch) -> "Tally":
    from framebank.extract.extraction import Tally
    from framebank.extract.fill import filling

    with filling(store, manifest, spec=engine.spec, embed=engine.embed, choices=choices) as found:
        tally = Tally(found.plan)
        for outcome in watch(found.outcomes, total=len(found.plan.todo), unit="video"):
            tally.add(outcome)
    return tally


def _require_size(store: Path, manifest: "Manifest", engine: "Engine", *, limit: float) -> str:
    """Return in words what the videos that a store lacks will take in it, or "" if its streams are small.

    DataError if that is more than `limit` GiB.
    """
    from framebank.extract.extraction import LocalMachine
    from framebank.store import FeatureStore
    from framebank.store.shard import shard_paths

    if not isinstance(engine, LocalMachine) or not engine.video_bytes:
        return ""
    held = FeatureStore(store) if shard_paths(store) else {}
    missing = sum(video_id not in held for video_id in manifest.ids)
    if not missing:
        return ""
    each, total = engine.video_bytes / 2**20, missing * engine.video_bytes / 2**30
    videos = counted(missing, "video")
    told = f"the streams {engine.spec.streams} take {each:.2f} MiB a video, {total:.2f} GiB for {videos}"
    if total > limit:
        raise DataError(f"{store}: {told}; expected {limit:g} GiB at the most, or a higher limit (--limit)")
    return told


def _warn_if_random(engine: "Engine") -> None:
    if engine.random_weights:
        warn(f"{engine.spec.model} has random weights (pretrained none): its embeddings mean nothing")


def _silent(_: str) -> None:
    pass
