"""Imported stores: features of another program as a store, and what became of each video."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted, listed
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.store import FeatureSpec
    from framebank.store.exchange.imports import Imported
    from framebank.store.exchange.source import Names, Source

SHOWN = 5  # failures in the notes


@dataclass(frozen=True, repr=False)
class ImportedStore:
    """A store of imported features: the counts, the outcome of each video, and what is worth knowing beside them."""

    path: Path
    source: Path
    num_videos: int
    num_there: int
    num_left_out: int
    outcomes: tuple["Imported", ...]
    not_taken: dict[str, int]
    source_notes: tuple[str, ...]
    spec: "FeatureSpec"
    seconds: float

    @property
    def failed(self) -> list["Imported"]:
        """The outcomes of the videos that gave no embedding."""
        return [outcome for outcome in self.outcomes if outcome.error]

    def require_some(self) -> None:
        """Raise DataError if every video failed."""
        if len(self.failed) == self.num_videos:
            raise DataError(
                f"{self.source}: no video was imported of {self.num_videos}; {self.path / 'failed.csv'} says why"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values: the contract for scripts."""
        return {
            "store": str(self.path),
            "videos": self.num_videos,
            "imported": len(self.outcomes) - len(self.failed),
            "failed": len(self.failed),
            "already_there": self.num_there,
            "left_out": self.num_left_out,
            "not_taken": self.not_taken,
            "rows": sum(outcome.num_rows for outcome in self.outcomes),
            "zero_rows": sum(outcome.zero_rows for outcome in self.outcomes),
            "width": self.spec.dim,
            "seconds": self.seconds,
            "model": self.spec.encoder,
        }

    def lines(self) -> list[str]:
        """Return what the command prints."""
        report = self.to_dict()
        left_out = f", {self.num_left_out} left out by --only-labels" if self.num_left_out else ""
        return [
            f"{counted(report['videos'], 'video')}: {report['imported']} imported, {report['failed']} failed, "
            f"{report['already_there']} already there{left_out}",
            f"{counted(report['rows'], 'row')} of {counted(report['width'], 'value')} in {self.seconds:.1f} s "
            f"-> {self.path}",
            f"by {report['model']}",
        ]

    def notes(self) -> list[str]:
        """Return lines on what was skipped, changed or refused."""
        notes = [*self.source_notes, *self._notes_of_videos()]
        if self.failed:
            notes.append(
                f"not imported: {len(self.failed)} of {counted(self.num_videos, 'video')}, each with its reason in "
                f"{self.path / 'failed.csv'}"
            )
        return notes

    def _notes_of_videos(self) -> Iterator[str]:
        from framebank.store.videos.intake import told

        if self.not_taken:
            yield told(self.not_taken)
        shapes = [outcome.flattened for outcome in self.outcomes if outcome.flattened]
        if shapes:
            one = f"{shapes[0]} to ({shapes[0][0]}, {self.spec.dim})"
            yield f"flattened: {counted(len(shapes), 'video')}, such as {one}"
        zeros = [outcome for outcome in self.outcomes if outcome.zero_rows]
        if zeros:
            rows = counted(sum(outcome.zero_rows for outcome in zeros), "row")
            ids = listed((outcome.video.video_id for outcome in zeros), most=3)
            yield f"kept: {rows} of zeros in {counted(len(zeros), 'video')} ({ids})"
        yield from [f"failed: {outcome.error}" for outcome in self.failed][:SHOWN]

    def __repr__(self) -> str:
        return "\n".join(self.lines())


def import_store(
    source: Path,
    store: Path,
    names: "Names",
    *,
    describe: Sequence[str] = (),
    fps: float = 1.0,
    only_labels: Path | None = None,
    clips_by: str | None = None,
    watch: Watch = unwatched,
) -> ImportedStore:
    """Make a store of the features in `source`, or add to it, and return what became of each video.

    `names` says what the arrays of a file are called, `describe` ("model=VGG16", ...) what made the features, and `fps`
    how many rows a second there are where the source does not say. `only_labels` is a file of the classes to take. With
    `clips_by`, a model that embeds frames before it looks at a clip ("hf:FOLDER" of a PE-Video), the source is a store
    of frames by that picture tower, and each of their clips becomes a row. A video that cannot be read gets a line in
    failed.csv. DataError if the source holds no features, or others than the store.
    """
    from framebank.store import LabelSet
    from framebank.store.exchange.imports import import_features
    from framebank.store.exchange.imports import only_labels as with_labels
    from framebank.store.exchange.sources import open_source
    from framebank.store.files.replacing import refuse_inside
    from framebank.store.upkeep.plan import plan_store

    if not 0 < fps < math.inf:
        raise DataError(f"fps is {fps}; expected a number above 0")
    refuse_inside(store, [source], what="store")
    if clips_by:
        from framebank.library.exchange.clips_of_frames import clips_of_frames

        found = chosen = clips_of_frames(source, clips_by)
    else:
        found = chosen = open_source(source, names)
    if only_labels:
        chosen = with_labels(found, LabelSet.read(only_labels), where=only_labels)
    spec = chosen.spec if clips_by and chosen.spec else _described(chosen, describe)
    todo = plan_store(store, chosen.manifest, spec, retry_failed=True, what="import").missing
    started = time.perf_counter()
    outcomes = watch(import_features(store, chosen, spec=spec, fps=fps), total=len(todo), unit="video")
    done = tuple(outcomes)
    return ImportedStore(
        path=store,
        source=source,
        num_videos=len(chosen.manifest),
        num_there=len(chosen.manifest) - len(todo),
        num_left_out=len(found.manifest) - len(chosen.manifest),
        outcomes=done,
        not_taken=dict(sorted(found.not_taken.items())),
        source_notes=tuple(chosen.notes),
        spec=spec,
        seconds=round(time.perf_counter() - started, 2),
    )


def _described(source: "Source", describe: Sequence[str]) -> "FeatureSpec":
    from framebank.store.exchange.imports import find_width, imported_spec, read_description

    return imported_spec(read_description(tuple(describe)), dim=find_width(source), made_by=source.spec)
