"""Opening: open what framebank wrote before; the files in it tell its kind."""

from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.checks import typed
from framebank.library.stores import open_store
from framebank.store.errors import DataError
from framebank.store.files.kinds import kind_of

if TYPE_CHECKING:
    from framebank.library.episodes.trained_matcher import TrainedMatcher
    from framebank.library.search_index import SearchIndex
    from framebank.library.trained_run import TrainedRun
    from framebank.store import FeatureStore, PromptBank


@typed
def open(  # noqa: A001 - it is called framebank.open
    path: str | Path, *, device: str = "auto"
) -> "FeatureStore | TrainedRun | TrainedMatcher | SearchIndex | PromptBank":
    """Open a store, a run, a trained matcher, an index or a file of prompts, whichever `path` is.

    A store maps each video_id to its embeddings: `store["juggling/a"].data` is (T, D) float16, not normalised, and its
    `timestamps` (T,) are in seconds. A run or an index computes on `device`. DataError if `path` is none of these.

    >>> import framebank as fb
    >>> bank = fb.open("demo-out/store")                                                       # doctest: +SKIP
    >>> bank[bank.ids[0]].data.shape                                                           # doctest: +SKIP
    (16, 128)
    """
    path = Path(path)
    kind, place = kind_of(path)
    if kind == "prompts":
        from framebank.store import PromptBank

        return PromptBank.read(place)
    if kind == "run":
        from framebank.library.trained_run import TrainedRun

        return TrainedRun.open(place, device=device)
    if kind == "few-shot run":
        from framebank.library.episodes.trained_matcher import TrainedMatcher

        return TrainedMatcher.open(place, device=device)
    if kind == "index":
        from framebank.library.search_index import SearchIndex

        return SearchIndex.open(place, device=device)
    if kind == "store":
        return open_store(place)
    raise DataError(f"{path}: is a {kind}; expected a store, a run, an index or prompts")
