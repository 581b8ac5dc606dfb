"""Exported stores: the embeddings of a store as files for other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.stores import open_store
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted, listed

if TYPE_CHECKING:
    from framebank.store import FeatureStore


@dataclass(frozen=True, repr=False)
class ExportedStore:
    """What was written to `path`: one stream of some videos, and what was not."""

    path: Path
    form: str
    stream: str
    num_videos: int
    num_missing: int
    streams_left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values: the contract for scripts."""
        return {
            "out": str(self.path),
            "format": self.form,
            "stream": self.stream,
            "videos": self.num_videos,
            "without_embedding": self.num_missing,
            "streams_left_out": list(self.streams_left_out),
        }

    def lines(self) -> list[str]:
        """Return what the command prints."""
        return [f"{counted(self.num_videos, 'video')} -> {self.path}"]

    def notes(self) -> list[str]:
        """Return lines on what was not exported."""
        notes = []
        if self.streams_left_out:
            left = listed(self.streams_left_out)
            notes.append(f"only the stream {self.stream} is exported; not exported: {left}")
        if self.num_missing:
            total = counted(self.num_videos + self.num_missing, "video")
            notes.append(f"not exported: {self.num_missing} of {total}, without an embedding")
        return notes

    def __repr__(self) -> str:
        return "\n".join(self.lines())


def export_embeddings(
    bank: "FeatureStore | str | Path",
    out: Path,
    *,
    form: str = "npy",
    split: str = "all",
    stream: str = "frame",
    watch: Watch = unwatched,
) -> ExportedStore:
    """Write the embeddings of a store to `out`: a folder of .npy, one .parquet, or a folder of WebDataset tars.

    `out` appears when it is complete. DataError if it is there already, or if the store lacks the split or the stream.
    """
    from framebank.store.exchange.exports import export_store
    from framebank.store.files.replacing import refuse_inside

    path = Path(bank) if isinstance(bank, str | Path) else bank.path
    refuse_inside(out, [path], what="export")
    features = open_store(bank)
    manifest = features.split(split)
    there = sum(video.video_id in features for video in manifest.videos)
    exporting = export_store(features, manifest, out, form=form, stream=stream)
    exported = sum(1 for _ in watch(exporting, total=there, unit="video"))
    return ExportedStore(
        path=out,
        form=form,
        stream=stream,
        num_videos=exported,
        num_missing=len(manifest) - exported,
        streams_left_out=tuple(sorted(set(features.streams) - {stream})),
    )
