"""The library: the calls that scripts, notebooks and the commands make. Each call reads or writes one thing.

A name is loaded when it is first used, so `import framebank` loads no torch.
"""

from typing import TYPE_CHECKING

from framebank.store.lazy import lazy_names

if TYPE_CHECKING:
    from framebank.library.adapting.adapt import adapt
    from framebank.library.adapting.adapted_encoder import AdaptedEncoder
    from framebank.library.asking.answers import Answers
    from framebank.library.asking.calls import label, predict
    from framebank.library.asking.label_bank import LabelBank, build_labels
    from framebank.library.asking.label_table import LabelTable
    from framebank.library.asking.store_labels import StoreLabels, label_store
    from framebank.library.asking.suspects import Suspect, Suspects, suspects
    from framebank.library.choice import Choice
    from framebank.library.comparing.comparison import RecipeComparison, compare_recipes
    from framebank.library.comparing.recipe_list import Recipes, recipes
    from framebank.library.episodes.evaluation import fewshot, fewshot_compare
    from framebank.library.episodes.report import FewshotComparison, FewshotReport
    from framebank.library.episodes.trained_matcher import TrainedMatcher
    from framebank.library.episodes.training import fewshot_train
    from framebank.library.evaluation import evaluate, zeroshot
    from framebank.library.exchange.fiftyone_export import export_fiftyone
    from framebank.library.exchange.mteb_model import mteb_model
    from framebank.library.extraction import extract
    from framebank.library.figures.pairs import compare, compare_runs, compare_scores
    from framebank.library.figures.protocols import ProtocolResult, evaluate_protocol
    from framebank.library.figures.report import Report
    from framebank.library.figures.results import Results, results
    from framebank.library.figures.temperature import fit_temperature
    from framebank.library.figures.thresholds import FittedThresholds, fit_thresholds
    from framebank.library.hits import Hits
    from framebank.library.indexing.build import index
    from framebank.library.indexing.merge import merge_indexes
    from framebank.library.indexing.push import IndexPush, push_index
    from framebank.library.labels import Labels
    from framebank.library.opening import open  # noqa: A004
    from framebank.library.reporting.build import report
    from framebank.library.reporting.page import ReportPage
    from framebank.library.search_index import SearchIndex
    from framebank.library.searching.duplicates import DuplicatePair, Duplicates, duplicates
    from framebank.library.searching.evaluated import SearchReport, evaluate_search
    from framebank.library.searching.query import Query
    from framebank.library.searching.shots import Shots, shots
    from framebank.library.texts import prompts
    from framebank.library.trained_run import TrainedRun
    from framebank.library.training import train

NAMES = {
    "AdaptedEncoder": "adapting.adapted_encoder",
    "adapt": "adapting.adapt",
    "Answers": "asking.answers",
    "FewshotComparison": "episodes.report",
    "FewshotReport": "episodes.report",
    "Choice": "choice",
    "DuplicatePair": "searching.duplicates",
    "Duplicates": "searching.duplicates",
    "duplicates": "searching.duplicates",
    "Hits": "hits",
    "LabelBank": "asking.label_bank",
    "LabelTable": "asking.label_table",
    "build_labels": "asking.label_bank",
    "Labels": "labels",
    "RecipeComparison": "comparing.comparison",
    "ProtocolResult": "figures.protocols",
    "Query": "searching.query",
    "Recipes": "comparing.recipe_list",
    "Report": "figures.report",
    "ReportPage": "reporting.page",
    "Results": "figures.results",
    "SearchIndex": "search_index",
    "SearchReport": "searching.evaluated",
    "evaluate_search": "searching.evaluated",
    "TrainedMatcher": "episodes.trained_matcher",
    "Shots": "searching.shots",
    "StoreLabels": "asking.store_labels",
    "Suspect": "asking.suspects",
    "Suspects": "asking.suspects",
    "suspects": "asking.suspects",
    "TrainedRun": "trained_run",
    "compare_recipes": "comparing.comparison",
    "compare": "figures.pairs",
    "compare_runs": "figures.pairs",
    "compare_scores": "figures.pairs",
    "evaluate": "evaluation",
    "evaluate_protocol": "figures.protocols",
    "export_fiftyone": "exchange.fiftyone_export",
    "extract": "extraction",
    "fewshot": "episodes.evaluation",
    "fewshot_compare": "episodes.evaluation",
    "fewshot_train": "episodes.training",
    "index": "indexing.build",
    "merge_indexes": "indexing.merge",
    "mteb_model": "exchange.mteb_model",
    "IndexPush": "indexing.push",
    "push_index": "indexing.push",
    "label": "asking.calls",
    "label_store": "asking.store_labels",
    "FittedThresholds": "figures.thresholds",
    "fit_temperature": "figures.temperature",
    "fit_thresholds": "figures.thresholds",
    "open": "opening",
    "predict": "asking.calls",
    "prompts": "texts",
    "report": "reporting.build",
    "results": "figures.results",
    "recipes": "comparing.recipe_list",
    "shots": "searching.shots",
    "train": "training",
    "zeroshot": "evaluation",
}

__all__ = [
    "AdaptedEncoder",
    "Answers",
    "Choice",
    "DuplicatePair",
    "Duplicates",
    "FewshotComparison",
    "FewshotReport",
    "FittedThresholds",
    "Hits",
    "IndexPush",
    "LabelBank",
    "LabelTable",
    "Labels",
    "ProtocolResult",
    "Query",
    "RecipeComparison",
    "Recipes",
    "Report",
    "ReportPage",
    "Results",
    "SearchIndex",
    "SearchReport",
    "Shots",
    "StoreLabels",
    "Suspect",
    "Suspects",
    "TrainedMatcher",
    "TrainedRun",
    "adapt",
    "build_labels",
    "compare",
    "compare_recipes",
    "compare_runs",
    "compare_scores",
    "duplicates",
    "evaluate",
    "evaluate_protocol",
    "evaluate_search",
    "export_fiftyone",
    "extract",
    "fewshot",
    "fewshot_compare",
    "fewshot_train",
    "fit_temperature",
    "fit_thresholds",
    "index",
    "label",
    "label_store",
    "merge_indexes",
    "mteb_model",
    "open",
    "predict",
    "prompts",
    "push_index",
    "recipes",
    "report",
    "results",
    "shots",
    "suspects",
    "train",
    "zeroshot",
]

__getattr__ = lazy_names(__name__, NAMES)
