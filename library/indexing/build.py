"""Make an index of a split of a store in a folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.checks import typed
from framebank.library.search_index import SearchIndex

if TYPE_CHECKING:
    from framebank.library.trained_run import TrainedRun
    from framebank.store import FeatureStore


@typed
def index(
    bank: "FeatureStore | str | Path",
    folder: str | Path,
    *,
    run: "TrainedRun | str | Path | None" = None,
    split: str = "all",
    level: str = "video",
    type: str = "auto",  # noqa: A002 - the word of the command
    budget: float = 0.05,
    recall: float = 0.95,
    rows: str = "auto",
    overwrite: bool = False,
    device: str = "auto",
) -> SearchIndex:
    """Index the videos of a split in a folder, by the mean of each video's frames, or by the head of a run.

    `level` says what is searched: one vector for each "video", "clip" or "frame"; hits of the last two have the seconds
    of the nearest clip or frame of their video. `type` "auto" searches exactly as long as 95 of 100 queries take no
    longer than `budget` seconds. Otherwise it is the smallest of "ivfpq", "sq8", "hnsw" and "ivf" that finds the share
    `recall` of the 10 true neighbours in that time. `measured` of the answer says what it is. `rows` is what the
    vectors of clips and frames are kept as: "float32", "float16", which takes half of the bytes, or "auto", which is
    float16 from a million rows on.
    DataError if the folder holds something already (unless `overwrite` replaces an index), if the run comes from
    another encoder, if no video has an embedding that can be compared, or if a value is wrong.

    >>> import framebank as fb
    >>> found = fb.index("demo-out/store", "index")                                            # doctest: +SKIP
    >>> found.search("a person lying on the floor", k=1)                                       # doctest: +SKIP
    >>> fb.index("demo-out/store", "frames", level="frame", type="sq8").measured.recall        # doctest: +SKIP
    1.0
    """
    from framebank.library.stores import open_store
    from framebank.store.indexes.tuning import Target

    asked = Target(type, budget, recall, rows)
    store, folder = open_store(bank), Path(folder)
    split = store.manifest.split_named(split)
    manifest = store.split(split)

    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.labelling.levels import searched_of
    from framebank.heads.labelling.neighbours import index_store
    from framebank.heads.training.folder import taking
    from framebank.heads.training.run import Run
    from framebank.library.trained_run import TrainedRun

    path = run.path if isinstance(run, TrainedRun) else Path(run) if run else None
    with taking(folder, what="index", overwrite=overwrite):
        pools = run.run if isinstance(run, TrainedRun) else Run.read(run) if run else None
        made = index_store(store, manifest, run=pools, run_path=path, device=resolve_device(device), split=split)
        made.searched = searched_of(made, store, level=level, asked=asked)
        made.save(folder)
    return SearchIndex(folder.absolute(), made, device=device, given=folder)
