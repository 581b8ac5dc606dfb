"""Extraction: embed the frames of videos into a store, each video once."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.checks import require_least, typed
from framebank.library.drift import drift_lines
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    from framebank.extract.extraction import Engine, Setup, Tally
    from framebank.extract.pool import WaitingWorkers
    from framebank.store import FeatureStore, Manifest
    from framebank.store.upkeep.plan import Choices
    from framebank.store.videos.intake import Intake

# Decoding processes that start while an encoder loads. The others start when there is work for them.
EARLY_WORKERS = 4
LIMIT = 16.0  # GiB that the tokens of all videos may take


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
    sources = [Path(videos)] if isinstance(videos, str | Path) else [Path(one) for one in videos]
    store = Path(store)
    intake = read_sources(sources, store)
    with waiting_workers(store, intake, workers=workers) as waiting:
        from framebank.extract.extraction import Setup
        from framebank.store import FeatureStore, Manifest
        from framebank.store.upkeep.plan import Choices
        from framebank.store.videos.labels import warn_of_forms
        from framebank.store.videos.tars import is_tar

        setup = Setup(
            model=model,
            pretrained=pretrained,
            sampling=f"fps:{fps:g}" if fps else f"segments:{frames}" if frames else None,
            view=view,
            streams=streams,
            precision=precision,
            device=None if device == "auto" else device,
            batch_size=batch_size,
        )
        made, _ = setup.like(store)
        manifest = Manifest(intake.videos)
        warn_of_forms(manifest.labels)
        if left := intake.told():
            warn(left)
        if lists:
            files = [lists] if isinstance(lists, str | Path) else lists
            manifest, _ = manifest.with_splits([Path(one) for one in files])
        machine = local_machine(made, device=device, workers=workers, waiting=waiting)
        if machine.random_weights:
            warn(f"{machine.spec.model} has random weights (pretrained none): its embeddings mean nothing")
        roots = tuple(path for path in sources if path.is_dir() or is_tar(path))
        choices = Choices(retry_failed=retry_failed, refresh=refresh, prune=prune, roots=roots)
        require_size(store, manifest, machine, limit=limit)
        tally = fill(store, manifest, machine, choices, watch=watch)
    require_some(store, manifest, tally)
    drift = tally.report()["drift"]
    for line in drift_lines(drift, refreshed=refresh, pruned=prune, refresh="refresh=True", prune="prune=True"):
        warn(f"{store}: {line}")
    if tally.without_embedding:
        told = f"{tally.without_embedding} of {counted(len(manifest), 'video')} have no embedding"
        warn(f"{told}: {store / 'failed.csv'} tells why")
    return FeatureStore(store)


def read_sources(sources: Sequence[Path], store: Path, *, is_video: Callable[[Path], bool] | None = None) -> "Intake":
    """Return the videos of files and folders, and what was skipped. DataError if the store would lie inside them."""
    from framebank.store.files.replacing import refuse_inside
    from framebank.store.videos.inputs import read_videos

    refuse_inside(store, sources, what="store")
    return read_videos(sources, is_video=is_video)


def waiting_workers(store: Path, intake: "Intake", *, workers: int | None) -> "WaitingWorkers":
    """Return decoding processes that start while the encoder loads, for a new store: an old one may be complete."""
    from framebank.extract.pool import WaitingWorkers

    wanted = min(workers or os.cpu_count() or 1, len(intake.videos), EARLY_WORKERS)
    return WaitingWorkers(0 if store.exists() else wanted)


def local_machine(
    setup: "Setup",
    *,
    device: str,
    workers: int | None,
    devices: Sequence[str] = (),
    waiting: "WaitingWorkers | None" = None,
) -> "Engine":
    """Return an engine that embeds videos on this machine, with one encoder on each device (default: the setup's)."""
    from framebank.extract.extraction import LocalMachine

    names = list(devices) or [setup.device or device]
    num_workers = workers or os.cpu_count() or 1
    return LocalMachine(setup.work(), devices=names, num_workers=num_workers, waiting_workers=waiting)


def fill(
    store: Path, manifest: "Manifest", machine: "Engine", choices: "Choices", *, watch: Watch = unwatched
) -> "Tally":
    """Embed the videos that a store lacks, and return what became of each of them."""
    from framebank.extract.extraction import Tally
    from framebank.extract.fill import filling

    with filling(store, manifest, spec=machine.spec, embed=machine.embed, choices=choices) as found:
        tally = Tally(found.plan)
        for outcome in watch(found.outcomes, total=len(found.plan.todo), unit="video"):
            tally.add(outcome)
    return tally


def require_size(store: Path, manifest: "Manifest", machine: "Engine", *, limit: float) -> str:
    """Return in words what the videos that a store lacks will take in it, or "" if its streams are small.

    DataError if that is more than `limit` GiB.
    """
    from framebank.extract.extraction import LocalMachine
    from framebank.store import FeatureStore
    from framebank.store.shard import shard_paths

    if not isinstance(machine, LocalMachine) or not machine.video_bytes:
        return ""
    held = FeatureStore(store) if shard_paths(store) else {}
    missing = sum(video.video_id not in held for video in manifest.videos)
    each, total = machine.video_bytes / 2**20, missing * machine.video_bytes / 2**30
    told = f"the streams {machine.spec.streams} take {each:.2f} MiB a video, {total:.2f} GiB for " + counted(
        missing, "video"
    )
    if total > limit:
        raise DataError(f"{store}: {told}; expected {limit:g} GiB at the most, or a higher limit (--limit)")
    return told


def require_some(store: Path, manifest: "Manifest", tally: "Tally") -> None:
    """Raise DataError if no video has an embedding after an extraction."""
    if manifest.videos and tally.without_embedding == len(manifest):
        raise DataError(f"{store}: none of the {len(manifest)} videos could be embedded")
