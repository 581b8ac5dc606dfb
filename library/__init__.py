"""The library: the calls that a script, a notebook and the commands make; each reads or writes one thing.

Names are loaded when they are asked for: `import framebank` loads no torch.
"""

from typing import TYPE_CHECKING

from framebank.store.lazy import lazy_names

if TYPE_CHECKING:
    from framebank.library.evaluation import evaluate, zeroshot
    from framebank.library.extraction import extract
    from framebank.library.hits import Hits
    from framebank.library.labels import Labels
    from framebank.library.opening import open  # noqa: A004
    from framebank.library.report import Report
    from framebank.library.search_index import SearchIndex, index
    from framebank.library.searching.shots import Shots, shots
    from framebank.library.texts import prompts
    from framebank.library.trained_run import TrainedRun
    from framebank.library.training import train

NAMES = {
    "Hits": "hits",
    "Labels": "labels",
    "Report": "report",
    "SearchIndex": "search_index",
    "Shots": "searching.shots",
    "TrainedRun": "trained_run",
    "evaluate": "evaluation",
    "extract": "extraction",
    "index": "search_index",
    "open": "opening",
    "prompts": "texts",
    "shots": "searching.shots",
    "train": "training",
    "zeroshot": "evaluation",
}

__all__ = [
    "Hits",
    "Labels",
    "Report",
    "SearchIndex",
    "Shots",
    "TrainedRun",
    "evaluate",
    "extract",
    "index",
    "open",
    "prompts",
    "shots",
    "train",
    "zeroshot",
]

__getattr__ = lazy_names(__name__, NAMES)
