"""The calls that label videos by several sources at once: `label` for new files, `predict` for a store or a folder."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.asking.answers import Answers
from framebank.library.asking.label_table import LabelTable, LabelTally
from framebank.library.asking.made_by import LabelsMadeBy
from framebank.library.asking.sources import LabelSources, path_of
from framebank.library.checks import Paths, require_least, typed
from framebank.library.labelling import find_videos, label_videos, warn_of_random
from framebank.library.labels import Labels
from framebank.library.trained_run import sort_labels
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    from framebank.library.search_index import SearchIndex
    from framebank.library.trained_run import TrainedRun
    from framebank.store import FeatureStore, LabelSet, Manifest, PromptBank


@typed
def label(
    videos: str | Path | Paths,
    *,
    run: "TrainedRun | str | Path | None" = None,
    index: "SearchIndex | str | Path | None" = None,
    labels: "LabelSet | Sequence[str] | str | Path | None" = None,
    prompts: "PromptBank | str | Path | None" = None,
    like: "FeatureStore | str | Path | None" = None,
    model: str | None = None,
    pretrained: str | None = None,
    templates: str | Sequence[str] | None = None,
    texts: str | None = None,
    frames: int = 16,
    k: int | None = None,
    sets: float | None = None,
    sets_by_class: bool = False,
    abstain_below: float = 0.0,
    top: int = 3,
    workers: int | None = None,
    device: str = "auto",
    watch: Watch = unwatched,
) -> Answers:
    """Label new videos by a run, an index, the texts of classes, or by several of these.

    `videos` are files, folders of videos, or folders of frames. An enrolled class of the index comes first if the video
    passes its threshold, then the run, then the texts, then the votes of the index's own videos. If nothing passes, the
    label is "unknown". The texts are `labels` (names, or a file of them) or `prompts` (the result of `fb.prompts` or
    `fb.build_labels`). With `prompts` and an index, the two are also joined, as the answer "fused", which comes before
    both; the answers then say which neighbours voted, and in which seconds of the video the label shows best. If
    only `labels` are given, `like` is a store whose encoder embeds the videos, or `model` and `pretrained` name an
    encoder, which sees `frames` of each video. `k` videos of the index vote (10, or all if there are fewer). With
    `sets` (0.9), a run also gives the set of labels that holds the true one for that share of the videos; with
    `sets_by_class`, for that share of each class. A label less likely than `abstain_below` is unknown. DataError if
    there is no source, or if an encoder is not installed here.

    >>> import framebank as fb
    >>> fb.label("new.mp4", run="run", index="index")[0].label                                 # doctest: +SKIP
    'juggling'
    """
    from framebank.heads.labelling.fuse import with_fused

    require_least("workers", workers, 1)
    require_least("top", top, 1)
    sources = LabelSources(
        *(run, index, labels, prompts, like, model, pretrained, templates, texts, frames, k),
        sets=sets,
        sets_by_class=sets_by_class,
        abstain_below=abstain_below,
    )
    asked = sources.ask(top=top, knows_itself=True, shows_seconds=bool(prompts), device=device, watch=watch)
    warn_of_random(asked)
    paths = [videos] if isinstance(videos, str | Path) else list(videos)
    found = sort_labels(label_videos(find_videos(paths), asked, workers=workers, watch=watch))
    made_by = LabelsMadeBy.of(asked, by=", ".join(sources.places), labelled=found.labelled)
    labelled = tuple(map(with_fused, found.labelled)) if prompts and index else found.labelled
    return Answers(labelled, found.failed, made_by, top)


@typed
def predict(
    videos: "FeatureStore | str | Path | Paths",
    split: str = "all",
    *,
    run: "TrainedRun | str | Path | None" = None,
    index: "SearchIndex | str | Path | None" = None,
    labels: "LabelSet | Sequence[str] | str | Path | None" = None,
    prompts: "PromptBank | str | Path | None" = None,
    like: "FeatureStore | str | Path | None" = None,
    model: str | None = None,
    pretrained: str | None = None,
    templates: str | Sequence[str] | None = None,
    texts: str | None = None,
    frames: int = 16,
    k: int | None = None,
    sets: float | None = None,
    sets_by_class: bool = False,
    abstain_below: float = 0.0,
    csv: str | Path | None = None,
    keep: bool = True,
    top: int = 3,
    workers: int | None = None,
    device: str = "auto",
    watch: Watch = unwatched,
) -> LabelTable:
    """Label every video of a store from its rows, or every video of folders, lists and files by decoding them.

    The sources and their order are those of `fb.label`; `prompts` and an index are joined as there. A video of the
    index does not vote for itself. `csv` is a file for the table, which is written as the videos arrive; without `keep`
    they are then forgotten. DataError if no video could be labelled, or if the table would lie inside the input.

    >>> import framebank as fb
    >>> table = fb.predict("demo-out/store", "test", run="demo-out/runs/transformer")          # doctest: +SKIP
    >>> table.labels[0].label                                                                  # doctest: +SKIP
    """
    from framebank.heads.labelling.fuse import with_fused
    from framebank.heads.labelling.table import label_store, write_table
    from framebank.store.files.replacing import replacing
    from framebank.store.ledger import Failure

    require_least("workers", workers, 1)
    require_least("top", top, 1)
    sources = LabelSources(
        *(run, index, labels, prompts, like, model, pretrained, templates, texts, frames, k),
        sets=sets,
        sets_by_class=sets_by_class,
        abstain_below=abstain_below,
    )
    given = list(videos) if isinstance(videos, list | tuple) else [videos]
    path = Path(csv) if csv else None
    _require_outside(path, [place for place in (*map(path_of, given), *sources.paths) if place])
    store, manifest = _open(given, split)
    split = store.manifest.split_named(split) if store else split
    asked = sources.ask(store, top=top, knows_itself=False, device=device, watch=watch)
    warn_of_random(asked)
    if store:
        labellers = [one.labeller for one in asked]
        labelled = watch(label_store(store, manifest, labellers), total=len(manifest), unit="video")
    else:
        labelled = label_videos(manifest.videos, asked, workers=workers, watch=watch)
    if prompts and index:
        labelled = (one if isinstance(one, Failure) else with_fused(one) for one in labelled)
    tally = LabelTally(keeps=keep or not path)
    with contextlib.ExitStack() as stack:
        if path:
            part = stack.enter_context(replacing(path))
            part.touch()  # find out that a place cannot be written to before an hour of decoding
            write_table(part, tally.count(labelled), top=top, sets=sets is not None)
        else:
            for _ in tally.count(labelled):
                pass
        tally.require_some(given)
    spec = store.spec if store else asked[0].spec
    made_by = {
        "encoder": spec.encoder,
        "sampling": spec.sampling,
        "store": str(store.path) if store else None,
        "split": split,
        "by": ", ".join(sources.places),
    }
    kept = Labels(tuple(tally.told), tuple(tally.failed))
    return LabelTable(kept, tally.counts, tally.num_unknown, tally.num_unsure, made_by, path, top)


def _open(videos: "Sequence[FeatureStore | str | Path]", split: str) -> "tuple[FeatureStore | None, Manifest]":
    """Return a store and its videos, or the videos to decode. DataError if a store is given together with others."""
    from framebank.store import FeatureStore, Manifest
    from framebank.store.shard import shard_paths
    from framebank.store.videos.inputs import read_videos

    is_store = [
        isinstance(one, FeatureStore) or (Path(one).is_dir() and bool(shard_paths(Path(one)))) for one in videos
    ]
    if any(is_store):
        first = videos[is_store.index(True)]
        store = first if isinstance(first, FeatureStore) else FeatureStore(first)
        if len(videos) > 1:
            raise DataError(f"{store.path}: is a store, given with other sources; expected it alone")
        return store, store.split(split)
    intake = read_videos([Path(str(one)) for one in videos])
    if left := intake.told():
        warn(left)
    return None, Manifest(intake.videos).split(split)


def _require_outside(path: Path | None, inputs: Sequence[Path]) -> None:
    """Raise DataError if a table would replace the input, or lie inside it."""
    if path is None:
        return
    if path.is_dir():
        raise DataError(f"{path}: is a folder; expected a file for the table")
    place = path.resolve()
    for taken in (given.resolve() for given in inputs):
        if taken == place or taken in place.parents:
            raise DataError(f"{path}: is {taken} itself, or inside it; expected another place for the table")
