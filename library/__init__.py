"""The library: the calls that a script, a notebook and the commands make; each reads or writes one thing.

Names are loaded when they are asked for: `import framebank` loads no torch.
"""

from typing import TYPE_CHECKING

from framebank.store.lazy import lazy_names

if TYPE_CHECKING:
    from framebank.library.evaluation import evaluate, zeroshot
    from framebank.library.extraction import extract
    from framebank.library.figures.pairs import compare, compare_runs
    from framebank.library.figures.protocols import ProtocolResult, evaluate_protocol
    from framebank.library.figures.results import Results, results
    from framebank.library.figures.temperature import fit_temperature
    from framebank.library.hits import Hits
    from framebank.library.labels import Labels
    from framebank.library.opening import open  # noqa: A004
    from framebank.library.report import Report
    from framebank.library.search_index import SearchIndex, index
    from framebank.library.texts import prompts
    from framebank.library.trained_run import TrainedRun
    from framebank.library.training import train

NAMES = {
    "Hits": "hits",
    "Labels": "labels",
    "ProtocolResult": "figures.protocols",
    "Report": "report",
    "Results": "figures.results",
    "SearchIndex": "search_index",
    "TrainedRun": "trained_run",
    "compare": "figures.pairs",
    "compare_runs": "figures.pairs",
    "evaluate": "evaluation",
    "evaluate_protocol": "figures.protocols",
    "extract": "extraction",
    "fit_temperature": "figures.temperature",
    "index": "search_index",
    "open": "opening",
    "prompts": "texts",
    "results": "figures.results",
    "train": "training",
    "zeroshot": "evaluation",
}

__all__ = [
    "Hits",
    "Labels",
    "ProtocolResult",
    "Report",
    "Results",
    "SearchIndex",
    "TrainedRun",
    "compare",
    "compare_runs",
    "evaluate",
    "evaluate_protocol",
    "extract",
    "fit_temperature",
    "index",
    "open",
    "prompts",
    "results",
    "train",
    "zeroshot",
]

__getattr__ = lazy_names(__name__, NAMES)
