"""A wrong type in a call from Python is one sentence that names the argument and says what was expected."""

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.library import NAMES
from framebank.store.formats.typed import CLASSES, PLAIN, ArgumentType, kinds_of
from framebank.tests.worlds.heads import World

OPENED = ("Hits", "Results", "SearchIndex", "TrainedMatcher", "TrainedRun")  # the classes whose methods are called


def public(name: str) -> list[Callable[..., Any]]:
    found = getattr(import_module(f"framebank.library.{NAMES[name]}"), name)
    if inspect.isfunction(found):
        return [found]
    methods = [getattr(each, "__func__", each) for key, each in vars(found).items() if not key.startswith("_")]
    return [each for each in methods if inspect.isfunction(each) and len(inspect.signature(each).parameters) > 1]


@pytest.mark.parametrize("name", [name for name in NAMES if name in OPENED or name[0].islower()])
def test_every_public_call_is_typed(name: str) -> None:
    for function in public(name):
        assert hasattr(function, "__wrapped__"), f"{function.__qualname__}: lacks @typed"
        for parameter in inspect.signature(function).parameters.values():
            assert parameter.name in ("self", "cls") or parameter.annotation is not parameter.empty
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD and parameter.name not in ("self", "cls"):
                unknown = [kind for kind in _all(kinds_of(parameter.annotation)) if kind not in {*PLAIN, *CLASSES}]
                assert not unknown, f"{function.__qualname__}: {parameter.name} is of {unknown}, unknown to checks.py"


@pytest.mark.parametrize("made", [fb.FeatureStore, fb.LabelSet, fb.PromptBank, fb.Query, fb.Span])
def test_every_constructor_that_users_call_is_typed(made: type) -> None:
    assert hasattr(vars(made)["__init__"], "__wrapped__")


def _all(kinds: tuple[ArgumentType, ...]) -> set[str]:
    return {name for kind in kinds for name in (kind.name, *_all(kind.items))}


@pytest.fixture(scope="module")
def index(world: World, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return fb.index(world.store, tmp_path_factory.mktemp("index") / "index", device="cpu")


WRONG: dict[str, Callable[[Any, Any], object]] = {
    "open: path is 3; expected a text or a path": lambda bank, index: fb.open(3),  # type: ignore[arg-type]
    "open: path is None; expected a text or a path": lambda bank, index: fb.open(None),  # type: ignore[arg-type]
    "train: folder is 5; expected a text or a path": lambda bank, index: fb.train(bank, 5),  # type: ignore[arg-type]
    "train: bank is 5; expected a store, a text or a path": lambda bank, index: fb.train(5, "x"),  # type: ignore[arg-type]
    "train: head is 3; expected a text or None": lambda bank, index: fb.train(bank, "x", head=3),  # type: ignore[arg-type]
    "train: overwrite is 'yes'; expected True or False": lambda bank, index: fb.train(bank, "x", overwrite="yes"),  # type: ignore[arg-type]
    "train: templates has the item 5; expected a text": lambda bank, index: fb.train(bank, "x", templates=[5]),  # type: ignore[list-item]
    "index: folder is None; expected a text or a path": lambda bank, index: fb.index(bank, None),  # type: ignore[arg-type]
    "index: split is 1; expected a text": lambda bank, index: fb.index(bank, "x", split=1),  # type: ignore[arg-type]
    "index: run is a store; expected a run, a text, a path or None": lambda bank, index: fb.index(bank, "x", run=bank),
    "search: query is 3.5; expected a text, a path, an array, a query or a list": lambda bank, index: index.search(3.5),
    "search: k is 'a'; expected a whole number": lambda bank, index: index.search("a", k="a"),
    "search: k is True; expected a whole number": lambda bank, index: index.search("a", k=True),
    "search_text: k is 2.5; expected a whole number": lambda bank, index: index.search_text("a", k=2.5),
    "search_text: got an unexpected keyword argument 'kk'": lambda bank, index: index.search_text("a", kk=5),
    "search_id: within has the item 'a'; expected a number": lambda bank, index: index.search_id("a", within=("a", 2)),
    "enroll: videos is 'a.mp4'; expected a list": lambda bank, index: index.enroll("a", "a.mp4"),
    "label: videos has the item 5": lambda bank, index: index.label([5]),
    "evaluate: run is a store; expected a run, a text or a path": lambda bank, index: fb.evaluate(bank),
    "compare_runs: runs is 6; expected a run, a text or a path": lambda bank, index: fb.compare_runs("a", 6),  # type: ignore[arg-type]
    "results: where holds 5; expected a text": lambda bank, index: fb.results("r", where={"protocol": 5}),  # type: ignore[dict-item]
    "Span: start is 'x'; expected a number": lambda bank, index: fb.Span("a", "x", 3),  # type: ignore[arg-type]
    "Span: label is 5; expected a text": lambda bank, index: fb.Span("a", 1, 3, label=5),  # type: ignore[arg-type]
    "Span: missing a required argument: 'end'": lambda bank, index: fb.Span("a", 1),  # type: ignore[call-arg]
    "Query: text is 3; expected a text or None": lambda bank, index: fb.Query(text=3),  # type: ignore[arg-type]
    "Query: within has the item 'b'; expected a number": lambda bank, index: fb.Query(video_id="a", within=(2, "b")),  # type: ignore[arg-type]
    "LabelSet: names is 'run'; expected a list": lambda bank, index: fb.LabelSet("run"),  # type: ignore[arg-type]
    "LabelSet: names has the item 1; expected a text": lambda bank, index: fb.LabelSet((1,)),  # type: ignore[arg-type]
    "read: path is 3; expected a text or a path": lambda bank, index: fb.LabelSet.read(3),  # type: ignore[arg-type]
    "read: path is None; expected a text or a path": lambda bank, index: fb.PromptBank.read(None),  # type: ignore[arg-type]
    "FeatureStore: path is 3; expected a text or a path": lambda bank, index: fb.FeatureStore(3),  # type: ignore[arg-type]
    "train: missing a required argument: 'folder'": lambda bank, index: fb.train(bank),  # type: ignore[call-arg]
}


@pytest.mark.parametrize("told", WRONG)
def test_a_wrong_type_is_one_sentence(world: World, index: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError) as caught:
        WRONG[told](world.store, index)
    assert told in str(caught.value)


def test_a_wrong_number_is_one_sentence_too(world: World, index: Any) -> None:
    for k in (-1, 0, np.int64(0)):
        with pytest.raises(fb.DataError, match=rf"^k is {k}; expected 1 or more$"):
            index.search(world.store.ids[0], k=k)
    assert len(index.search(world.store.ids[0], k=np.int64(2))) == 2
    with pytest.raises(KeyError):
        world.store[5]  # type: ignore[index]


def test_arrays_may_be_lists() -> None:
    assert fb.compare([True, False] * 4, [1, 1] * 4).flips.gained == 4  # type: ignore[arg-type]
