"""The command predict: a label for every video of a store, of a folder or of a list, as a table."""

import contextlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.asking import Asking, asking_options, sources_of
from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import print_report, progress, table
from framebank.library.labelling import Asked, label_videos
from framebank.library.labels import Labels
from framebank.store.counts import counted

if TYPE_CHECKING:
    from framebank.heads.labelling.table import Labelled
    from framebank.store import FeatureStore, Manifest
    from framebank.store.ledger import Failure

MOST_NAMED = 20  # failures, each by a line
MOST_LABELS = 10


@click.command(short_help="Label every video of a store or a folder.")
@click.argument("videos", nargs=-1, required=True, type=PATH)
@asking_options
@click.option("--prompts", type=PATH, help="Class embeddings made by `framebank prompts`, instead of --labels.")
@click.option("--csv", "csv_path", type=PATH, help="Write the table here.")
@click.option("--top", default=3, type=click.IntRange(1), help="How many labels of each video.")
@click.option("--split", default="all", help="The split to label.")
@device_option
@json_option
def predict(
    videos: tuple[Path, ...],
    csv_path: Path | None,
    split: str,
    workers: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Give every video of VIDEOS a label: a store, a folder of videos, a manifest CSV, or video files.

    From the rows of a store where one is given; other videos are decoded as `extract` does it, and nothing of them is
    kept: extract them first where they will be asked for again. No video needs a label of its own.

    Who is asked, and whose answer counts, is as in `label`. The table has a row for each video, in the order of the
    input: video_id, path, start, end, label, confidence, the next labels, unsure, and by whom.

    \b
    framebank predict bank --run run --csv labels.csv
    framebank predict bank --labels classes.txt --csv labels.csv --top 3
    framebank predict new-videos/ --index index --csv labels.csv
    """
    asking = Asking(**options)

    from framebank.heads.labelling.table import label_store, write_table
    from framebank.store.files.replacing import replacing

    _require_outside(csv_path, [*videos, *asking.asked])
    store, manifest = _open(videos, split)
    sources = sources_of(asking, store)
    if store:
        labelled = progress(
            label_store(store, manifest, [source.labeller for source in sources]), total=len(manifest), unit="video"
        )
    else:
        labelled = label_videos(manifest.videos, sources, workers=workers, watch=progress)
    tally = _Tally(keeps=as_json or not csv_path)
    with contextlib.ExitStack() as stack:
        if csv_path:
            part = stack.enter_context(replacing(csv_path))
            part.touch()  # a place that cannot be written to is known before an hour of decoding
            write_table(part, tally.count(labelled), top=asking.top, sets=asking.sets is not None)
        else:
            for _ in tally.count(labelled):
                pass
        tally.require_some(videos)
    _print(tally, asking, sources, store, csv_path=csv_path, split=split, as_json=as_json)
    for failure in tally.failed[:MOST_NAMED]:
        click.echo(f"failed: {failure.reason}", err=True)
    if len(tally.failed) > MOST_NAMED:
        click.echo(f"and {len(tally.failed) - MOST_NAMED} more; --json lists all of them", err=True)
    if tally.failed:
        sys.exit(1)


class _Tally:
    """What has become of the videos so far; every one of them is kept only where it will be told."""

    def __init__(self, *, keeps: bool) -> None:
        self.keeps = keeps
        self.told: list[Labelled] = []
        self.failed: list[Failure] = []
        self.labels: Counter[str] = Counter()
        self.num_unsure = 0
        self.num_unknown = 0

    def count(self, found: "Iterable[Labelled | Failure]") -> "Iterator[Labelled]":
        """Yield the videos that have a label, and count all of them."""
        from framebank.store.ledger import Failure

        for one in found:
            if isinstance(one, Failure):
                self.failed.append(one)
                continue
            self.labels[one.label] += 1
            self.num_unsure += one.unsure
            self.num_unknown += one.by is None
            if self.keeps:
                self.told.append(one)
            yield one

    def require_some(self, videos: Sequence[Path]) -> None:
        """Refuse to leave an empty table: DataError with the first reason."""
        from framebank.store import DataError

        if not self.labels:
            where = ", ".join(map(str, videos[:3]))
            raise DataError(
                f"{where}: none of {counted(len(self.failed), 'video')} could be labelled; the first: "
                f"{self.failed[0].reason}"
            )


def _open(videos: Sequence[Path], split: str) -> "tuple[FeatureStore | None, Manifest]":
    """A store and its videos, or the videos that are to be decoded; DataError where a store stands among others.

    What is not taken of a folder is told on stderr.
    """
    from framebank.store import DataError, FeatureStore, Manifest
    from framebank.store.shard import shard_paths
    from framebank.store.videos.inputs import read_videos

    stores = [path for path in videos if path.is_dir() and shard_paths(path)]
    if stores and len(videos) > 1:
        raise DataError(f"{stores[0]}: is a store, given with other sources; expected it alone")
    if stores:
        store = FeatureStore(stores[0])
        return store, store.split(split)
    intake = read_videos(videos)
    if left := intake.told():
        click.echo(left, err=True)
    return None, Manifest(intake.videos).split(split)


def _require_outside(path: Path | None, inputs: Sequence[Path]) -> None:
    """Refuse a table in the place of what is read, or inside it: DataError."""
    from framebank.store import DataError

    if path is None:
        return
    if path.is_dir():
        raise DataError(f"{path}: is a folder; expected a file for the table")
    place = path.resolve()
    for taken in (given.resolve() for given in inputs):
        if taken == place or taken in place.parents:
            raise DataError(f"{path}: is {taken} itself, or inside it; expected another place for the table")


def _print(
    tally: _Tally,
    asking: Asking,
    sources: Sequence[Asked],
    store: "FeatureStore | None",
    *,
    csv_path: Path | None,
    split: str,
    as_json: bool,
) -> None:
    spec = store.spec if store else sources[0].spec
    counts = {
        "labelled": tally.labels.total(),
        "unknown": tally.num_unknown,
        "unsure": tally.num_unsure,
    }
    report = {
        **Labels(tuple(tally.told), tuple(tally.failed)).to_dict(top=asking.top),
        **counts,
        "csv": str(csv_path) if csv_path else None,
        "made_by": {
            "encoder": spec.encoder,
            "sampling": spec.sampling,
            "store": str(store.path) if store else None,
            "split": split,
            "by": ", ".join(map(str, asking.asked)),
        },
    }
    lines = _table_lines(tally) if csv_path else Labels(tuple(tally.told)).lines(top=asking.top)
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count or name == "labelled")
    failed = f", {len(tally.failed)} failed" if tally.failed else ""
    print_report(report, as_json=as_json, lines=[*lines, f"{told}{failed}{f' -> {csv_path}' if csv_path else ''}"])


def _table_lines(tally: _Tally) -> list[str]:
    """The labels that were given most often."""
    most = tally.labels.most_common(MOST_LABELS)
    lines = table(("label", "videos"), [(name, str(count)) for name, count in most])
    rest = len(tally.labels) - len(most)
    return [*lines, *([f"and {counted(rest, 'label')} more"] if rest else [])]
