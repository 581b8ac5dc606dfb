"""framebank: a folder of videos becomes a bank of frame embeddings once; every question is answered from the bank.

    import framebank as fb

    bank = fb.extract("videos/", "bank", model="ViT-B-16", pretrained="openai")   # or fb.open("bank")
    print(fb.zeroshot(bank, split="test"))
    run = fb.train(bank, "run", head="transformer")
    print(run.evaluate(split="test"))
    run.label("new.mp4").top(3)
    index = fb.index(bank, "index")
    index.search("a person juggling", k=5)

Names and rooms are loaded when they are asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framebank.library import (
        AdaptedEncoder,
        Answers,
        Choice,
        DuplicatePair,
        Duplicates,
        FewshotComparison,
        FewshotReport,
        Hits,
        IndexPush,
        LabelBank,
        Labels,
        LabelTable,
        ProtocolResult,
        Query,
        RecipeComparison,
        Recipes,
        Report,
        ReportPage,
        Results,
        SearchIndex,
        SearchReport,
        Shots,
        StoreLabels,
        TrainedMatcher,
        TrainedRun,
        adapt,
        build_labels,
        compare,
        compare_recipes,
        compare_runs,
        compare_scores,
        duplicates,
        evaluate,
        evaluate_protocol,
        evaluate_search,
        export_fiftyone,
        extract,
        fewshot,
        fewshot_compare,
        fewshot_train,
        fit_temperature,
        fit_thresholds,
        index,
        label,
        label_store,
        merge_indexes,
        mteb_model,
        predict,
        prompts,
        push_index,
        recipes,
        report,
        results,
        shots,
        suspects,
        train,
        zeroshot,
    )
    from framebank.library import open as open  # noqa: A004
    from framebank.store import DataError, DataWarning, FeatureStore, LabelSet, PromptBank, Span

__version__ = "0.2.0.dev0"

ROOMS = ("commands", "demo", "extract", "heads", "library", "store")
OF_STORE = ("DataError", "DataWarning", "FeatureStore", "LabelSet", "PromptBank", "Span")

__all__ = [
    "AdaptedEncoder",
    "Answers",
    "Choice",
    "DataError",
    "DataWarning",
    "DuplicatePair",
    "Duplicates",
    "FeatureStore",
    "FewshotComparison",
    "FewshotReport",
    "Hits",
    "IndexPush",
    "LabelBank",
    "LabelSet",
    "LabelTable",
    "Labels",
    "PromptBank",
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
    "Span",
    "StoreLabels",
    "TrainedMatcher",
    "TrainedRun",
    "__version__",
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


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in ROOMS:
        return import_module(f"framebank.{name}")
    if name in __all__:
        return getattr(import_module(f"framebank.{'store' if name in OF_STORE else 'library'}"), name)
    raise AttributeError(f"module 'framebank' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *ROOMS})
