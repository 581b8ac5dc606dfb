"""StoreLabels: a label for every unlabelled video of a store, from its rows, and which of them went into the store."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from framebank.library.asking.label_table import LabelTally
from framebank.library.asking.sources import LabelSources
from framebank.library.checks import typed
from framebank.library.labels import Labels
from framebank.library.stores import open_store
from framebank.library.table import html_table, percent, table
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.errors import DataError, warn
from framebank.store.files.place import require_place

if TYPE_CHECKING:
    from framebank.heads.labelling.table import Labelled
    from framebank.library.search_index import SearchIndex
    from framebank.library.trained_run import TrainedRun
    from framebank.store import FeatureStore, Manifest, PromptBank, Video

HEADER = "video_id,path,start,end,label,confidence,label_2"  # how a table of labels begins
MOST_LABELS = 10


@dataclass(frozen=True, repr=False)
class StoreLabels:
    """The videos that were named, in the order of the store. It prints as the command `label-store` does.

    `labels` has each video with its answers, and the videos that `failed`. `sure` are the video_ids whose confidence is
    `threshold` or more, and `written` those of them whose label is in the store now. `agreement` is the share of the
    videos with a label of their own, if they were named too, that got the same one.
    """

    labels: Labels
    threshold: float
    sure: tuple[str, ...]
    written: tuple[str, ...] = ()
    agreement: float | None = None
    csv: Path | None = None
    store: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the videos, each with its label and confidence, and the counts, as plain values."""
        written = set(self.written)
        return {
            "videos": [
                {
                    "video_id": one.video.video_id,
                    "label": one.label,
                    "confidence": confidence_of(one),
                    "by": one.by,
                    "unsure": one.unsure,
                    "labels": one.to_dict()["labels"],
                    "written": one.video.video_id in written,
                }
                for one in self.labels
            ],
            "failed": self.labels.to_dict()["failed"],
            "labelled": len(self.labels) - self._num_unknown,
            "unknown": self._num_unknown,
            "threshold": self.threshold,
            "above_threshold": len(self.sure),
            "written": len(self.written),
            "agreement": self.agreement,
            "csv": str(self.csv) if self.csv else None,
        }

    @property
    def _num_unknown(self) -> int:
        return sum(one.by is None for one in self.labels)

    def lines(self) -> list[str]:
        """Return a row for each of the most frequent labels, and the counts."""
        return [*table(*self._cells(), align="lrr"), *self._below()]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        sure = set(self.sure)
        counts: dict[str, list[int]] = {}
        for one in self.labels:
            count = counts.setdefault(one.label, [0, 0])
            count[0] += 1
            count[1] += one.video.video_id in sure
        most = sorted(counts.items(), key=lambda item: -item[1][0])[:MOST_LABELS]
        rows: list[tuple[str, ...]] = [(name, str(own), str(above)) for name, (own, above) in most]
        return ("label", "videos", f"{self.threshold:g} or surer"), rows

    def _below(self) -> list[str]:
        rest = len({one.label for one in self.labels}) - MOST_LABELS
        more = [f"and {counted(rest, 'label')} more"] if rest > 0 else []
        failed = f", {len(self.labels.failed)} failed" if self.labels.failed else ""
        where = f" -> {self.csv}" if self.csv else ""
        unknown = f", {self._num_unknown} unknown" if self._num_unknown else ""
        named = f"{len(self.labels) - self._num_unknown} labelled"
        told = [f"{named}, {len(self.sure)} of them with {self.threshold:g} or more{unknown}{failed}{where}"]
        if self.agreement is not None:
            told.append(f"{percent(self.agreement)} of the videos that had a label got the same one")
        if self.written:
            told.append(
                f"{counted(len(self.written), 'label')} written into {self.store}; "
                f"`framebank store relabel {quote(str(self.store))} --undo` takes them back"
            )
        return [*more, *told]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), below=self._below())


@typed
def label_store(
    bank: "FeatureStore | str | Path",
    *,
    prompts: "PromptBank | str | Path | None" = None,
    run: "TrainedRun | str | Path | None" = None,
    index: "SearchIndex | str | Path | None" = None,
    split: str = "all",
    k: int | None = None,
    csv: str | Path | None = None,
    threshold: float = 0.5,
    write: bool = False,
    everything: bool = False,
    device: str = "auto",
    watch: Watch = unwatched,
) -> StoreLabels:
    """Name every unlabelled video of a store from its rows, by the texts of a label bank, a run or an index.

    `prompts` is a label bank (`fb.build_labels`, `fb.prompts`). With several sources, they count in the order of
    `fb.label`, where a label bank and an index together are joined. With `write`, the labels whose confidence is
    `threshold` or more go into the manifest of the store, as by hand: `framebank store relabel --undo` takes them back.
    `everything` also names the videos that have a label, for a comparison; their own labels are never replaced. `csv`
    is a file for the table. DataError if no source is given, if the source knows other embeddings than those of the
    store, or if every video has a label.

    >>> import framebank as fb
    >>> fb.label_store("bank", prompts="names.h5", threshold=0.8, write=True).written          # doctest: +SKIP
    ('clip_017', 'clip_204')
    """
    from framebank.heads.labelling.fuse import with_fused
    from framebank.heads.labelling.table import label_store as name_rows
    from framebank.library.labelling import warn_of_random
    from framebank.store.upkeep.repair import writing

    if not 0 <= threshold <= 1:
        raise DataError(f"threshold is {threshold}; expected a confidence from 0 to 1")
    if not (prompts or run or index):
        raise DataError("nothing says how to name the videos; expected a label bank, an index or a run")
    store = open_store(bank)
    split = store.manifest.split_named(split)
    manifest = _unlabelled(store, split, everything=everything)
    path = Path(csv) if csv else None
    if path:
        _require_own_table(path, store)
    if write:
        with writing(store.path):  # another process that writes there is told before anything is named
            pass
    sources = LabelSources(prompts=prompts, run=run, index=index, k=k)
    asked = sources.ask(store, top=3, knows_itself=False, device=device, watch=watch)
    warn_of_random(asked)
    tally = LabelTally(keeps=True)
    named = watch(name_rows(store, manifest, [one.labeller for one in asked]), total=len(manifest), unit="video")
    for _ in tally.count(named):
        pass
    tally.require_some([store.path])
    told = map(with_fused, tally.told) if prompts and index else tally.told
    found = Labels(tuple(told), tuple(tally.failed))
    if path:
        _write_csv(path, found)
    sure = tuple(one.video.video_id for one in found if (confidence_of(one) or 0.0) >= threshold and one.by)
    written = _write_labels(store, found, sure) if write else ()
    if write and not written:
        warn(f"no label was written: no video without one got a label of a confidence of {threshold:g} or more")
    return StoreLabels(found, threshold, sure, written, _agreement(found), path, store.path)


def confidence_of(one: "Labelled") -> float | None:
    """Return how sure the label of a video is; None if it is unknown."""
    return one.top(1)[0][1]


def _unlabelled(store: "FeatureStore", split: str, *, everything: bool) -> "Manifest":
    from framebank.store import Manifest

    listed = store.split(split)
    videos: Sequence[Video] = listed.videos
    left = tuple(video for video in videos if everything or not video.label)
    if not left:
        raise DataError(
            f"{store.path}: each of the {counted(len(listed), 'video')} in the split {split} has a label; expected "
            "videos without one, or everything (--all) to name all of them"
        )
    return Manifest(left)


def _require_own_table(path: Path, store: "FeatureStore") -> None:
    """Raise DataError if the table would replace another file than a table of labels, or lie inside the store."""
    require_place(path)
    if store.path.resolve() in path.resolve().parents:
        raise DataError(f"{path}: is inside the store {store.path}; expected another place for the table")
    if path.is_file():
        with path.open("rb") as file:
            begins = file.read(len(HEADER))
        if begins != HEADER.encode():
            raise DataError(f"{path}: is there already and is not a table of labels; expected another --out")


def _write_csv(path: Path, found: Iterable["Labelled"]) -> None:
    from framebank.heads.labelling.table import write_table
    from framebank.store.files.replacing import replacing

    with replacing(path) as part:
        write_table(part, found, top=3)


def _write_labels(store: "FeatureStore", found: Labels, sure: Sequence[str]) -> tuple[str, ...]:
    """Write the labels of the sure videos that have none into the manifest; return their video_ids."""
    from framebank.store.upkeep.relabel import relabel_store

    values = dict(_settings(found, set(sure)))
    if not values:
        return ()
    done = relabel_store(store.path, values)
    return tuple(video_id for video_id, _ in done.now)


def _settings(found: Labels, sure: set[str]) -> "Iterator[tuple[tuple[str, str], str]]":
    for one in found:
        if one.video.video_id in sure and not one.video.label:
            yield (one.video.video_id, "label"), one.label


def _agreement(found: Labels) -> float | None:
    """Return the share of the videos with a label that got one of their own; None if none has a label."""
    from framebank.store.videos.video import labels_in

    known = [one for one in found if one.video.label]
    if not known:
        return None
    return sum(not set(labels_in(one.label)).isdisjoint(one.video.labels) for one in known) / len(known)
