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
    overwrite: bool = False,
    device: str = "auto",
) -> SearchIndex:
    """Index the videos of a split in a folder, by the mean of each video's frames, or by the head of a run.

    DataError if the folder holds something already (unless `overwrite` replaces an index), if the run comes from
    another encoder, or if no video has an embedding that can be compared.

    >>> import framebank as fb
    >>> found = fb.index("demo-out/store", "index")                                            # doctest: +SKIP
    >>> found.search("a person lying on the floor", k=1)                                       # doctest: +SKIP
    """
    from framebank.library.stores import open_store

    store, folder = open_store(bank), Path(folder)
    manifest = store.split(split)

    from framebank.extract.encoders.encoder import resolve_device
    from framebank.heads.labelling.neighbours import index_store
    from framebank.heads.training.folder import taking
    from framebank.heads.training.run import Run
    from framebank.library.trained_run import TrainedRun

    path = run.path if isinstance(run, TrainedRun) else Path(run) if run else None
    with taking(folder, what="index", overwrite=overwrite):
        pools = run.run if isinstance(run, TrainedRun) else Run.read(run) if run else None
        made = index_store(store, manifest, run=pools, run_path=path, device=resolve_device(device), split=split)
        made.save(folder)
    return SearchIndex(folder.absolute(), made, device=device, given=folder)
