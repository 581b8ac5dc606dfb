"""The library: the calls that a script, a notebook and the commands make; each reads or writes one thing.

Names are loaded when they are asked for: `import framebank` loads no torch.
"""

from typing import TYPE_CHECKING

from framebank.store.lazy import lazy_names

if TYPE_CHECKING:
    from framebank.library.asking.answers import Answers
    from framebank.library.asking.calls import label, predict
    from framebank.library.asking.label_table import LabelTable
    from framebank.library.evaluation import evaluate, zeroshot
    from framebank.library.extraction import extract
    from framebank.library.hits import Hits
    from framebank.library.indexing.build import index
    from framebank.library.labels import Labels
    from framebank.library.opening import open  # noqa: A004
    from framebank.library.report import Report
    from framebank.library.search_index import SearchIndex
    from framebank.library.texts import prompts
    from framebank.library.trained_run import TrainedRun
    from framebank.library.training import train

NAMES = {
    "Answers": "asking.answers",
    "Hits": "hits",
    "LabelTable": "asking.label_table",
    "Labels": "labels",
    "Report": "report",
    "SearchIndex": "search_index",
    "TrainedRun": "trained_run",
    "evaluate": "evaluation",
    "extract": "extraction",
    "index": "indexing.build",
    "label": "asking.calls",
    "open": "opening",
    "predict": "asking.calls",
    "prompts": "texts",
    "train": "training",
    "zeroshot": "evaluation",
}

__all__ = [
    "Answers",
    "Hits",
    "LabelTable",
    "Labels",
    "Report",
    "SearchIndex",
    "TrainedRun",
    "evaluate",
    "extract",
    "index",
    "label",
    "open",
    "predict",
    "prompts",
    "train",
    "zeroshot",
]

__getattr__ = lazy_names(__name__, NAMES)
