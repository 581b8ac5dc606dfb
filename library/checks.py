"""Checks of the arguments of a caller; each error says what was expected."""

import ast
import functools
import inspect
import numbers
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar

from framebank.store.errors import DataError

# How an error message writes the name of an argument: as_argument or as_option.
Naming = Callable[[str], str]

# Several files. A str is a single file, although Python calls it a sequence.
Paths = list[str] | list[Path] | list[str | Path] | tuple[str | Path, ...]


def require_least(name: str, value: float | None, least: float) -> None:
    """Raise DataError if a number is below `least`. None means that no number was given, and passes.

    >>> require_least("k", 3, 1)
    """
    if value is not None and not value >= least:
        raise DataError(f"{name} is {value}; expected {least} or more")


def require_share(name: str, value: float) -> None:
    """Raise DataError if a number is not strictly between 0 and 1.

    >>> require_share("share", 0.05)
    """
    if not 0 < value < 1:
        raise DataError(f"{name} is {value}; expected more than 0 and less than 1")


def require_among(name: str, value: str | None, choices: tuple[str, ...]) -> None:
    """Raise DataError if a word is not one of `choices`. None means that no word was given, and passes.

    >>> require_among("scoring", "embeddings", ("probabilities", "embeddings"))
    """
    if value is not None and value not in choices:
        raise DataError(f"{name} is {value!r}; expected {' or '.join(choices)}")


def as_option(name: str) -> str:
    """Return the name of an argument as the command line writes it.

    >>> as_option("support_list")
    '--support-list'
    """
    return f"--{name.replace('_', '-')}"


def as_argument(name: str) -> str:
    """Return the name of an argument as Python writes it: unchanged."""
    return name


class WrongTypeError(DataError, TypeError):
    """An argument in Python has the wrong type. It is a DataError and a TypeError."""


Checked = TypeVar("Checked", bound=Callable[..., Any])


@dataclass(frozen=True)
class ArgumentType:
    """A type in an annotation: its name, and the kinds of the items of a list, or of the values of a dict."""

    name: str
    items: tuple["ArgumentType", ...] = ()


# What the plain names in a signature take, and how a message calls it. Another name is that of a class.
PLAIN: dict[str, tuple[Callable[[Any], bool], str]] = {
    "None": (lambda value: value is None, "None"),
    "str": (lambda value: isinstance(value, str), "a text"),
    "bool": (lambda value: isinstance(value, bool), "True or False"),
    "int": (lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool), "a whole number"),
    "float": (lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool), "a number"),
    "Path": (lambda value: isinstance(value, PurePath), "a path"),
    "Sequence": (lambda value: isinstance(value, Iterable) and not _is_single(value), "a list"),
    "Mapping": (lambda value: isinstance(value, Mapping), "a dict"),
    "ndarray": (lambda value: hasattr(value, "__array__") or isinstance(value, list | tuple), "an array"),
    "HasPath": (lambda value: hasattr(value, "path"), "a run"),
    "OpenRun": (lambda value: hasattr(value, "path") and hasattr(value, "run"), "a run"),
    "Watch": (callable, "a function"),
    "object": (lambda value: True, "anything"),
}
SAME = {"list": "Sequence", "tuple": "Sequence", "dict": "Mapping", "NoneType": "None", "Any": "object"}
SAME |= {"Callable": "Watch"}
CLASSES = {
    "FeatureStore": "a store",
    "Run": "a run",
    "TrainedRun": "a run",
    "TrainedMatcher": "a matcher",
    "SearchIndex": "an index",
    "PromptBank": "prompts",
    "Query": "a query",
    "LabelSet": "a label set",
    "Recipe": "a recipe",
}


def typed(function: Checked) -> Checked:
    """Return a function that first compares its arguments with its annotations, by type: WrongTypeError.

    Of a class, the public methods do so. The values of a right type are left to the function.

    >>> typed(require_least)("k", "three", 1)
    Traceback (most recent call last):
    ...
    framebank.library.checks.WrongTypeError: require_least: value is 'three'; expected a number or None
    """
    if inspect.isclass(function):
        for name, method in list(vars(function).items()):
            if not name.startswith("_") and isinstance(method, classmethod):
                setattr(function, name, classmethod(typed(method.__func__)))
            elif not name.startswith("_") and inspect.isfunction(method):
                setattr(function, name, typed(method))
        return function
    signature = inspect.signature(function)
    wanted = {name: _wanted(parameter) for name, parameter in signature.parameters.items()}

    @functools.wraps(function)
    def checked(*arguments: Any, **options: Any) -> Any:
        try:
            given = signature.bind(*arguments, **options).arguments
        except TypeError as error:
            raise TypeError(f"{function.__name__}: {error}") from None
        for name, value in given.items():
            several = signature.parameters[name].kind
            if several is inspect.Parameter.VAR_KEYWORD:
                _require_options(function.__name__, value, wanted[name])
            elif several is inspect.Parameter.VAR_POSITIONAL:
                for each in value:
                    _require_type(function.__name__, name, each, wanted[name][name])
            else:
                _require_type(function.__name__, name, value, wanted[name][name])
        return function(*arguments, **options)

    return typing.cast("Checked", checked)


def _require_options(function: str, given: Mapping[str, Any], wanted: Mapping[str, tuple[ArgumentType, ...]]) -> None:
    """Check **options that are those of a TypedDict; others may be anything."""
    for name, value in given.items():
        if wanted and name not in wanted:
            raise TypeError(f"{function}: got an unexpected keyword argument {name!r}")
        _require_type(function, name, value, wanted.get(name, ()))


def _require_type(function: str, name: str, value: Any, wanted: tuple[ArgumentType, ...]) -> None:
    kinds = [kind for kind in wanted if _is_a(value, kind.name)]
    if not wanted or any(all(_fits(item, kind.items) for item in _items(value, kind)) for kind in kinds):
        return
    if kinds:
        kind = kinds[0]
        wrong = next(item for item in _items(value, kind) if not _fits(item, kind.items))
        what = "holds" if kind.name == "Mapping" else "has the item"
        raise WrongTypeError(f"{function}: {name} {what} {_shown(wrong)}; expected {_listed(kind.items)}")
    raise WrongTypeError(f"{function}: {name} is {_shown(value)}; expected {_listed(wanted)}")


def _fits(value: Any, wanted: tuple[ArgumentType, ...]) -> bool:
    return not wanted or any(_is_a(value, kind.name) for kind in wanted)


def _items(value: Any, kind: ArgumentType) -> Iterable[Any]:
    """Return the items of a list or the values of a dict; an iterator, which can be read once, is not read."""
    if not kind.items:
        return ()
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple | set | frozenset) else ()


def _is_a(value: Any, name: str) -> bool:
    if name in PLAIN:
        return PLAIN[name][0](value)
    return any(each.__name__ == name for each in type(value).__mro__)


def _is_single(value: Any) -> bool:
    return isinstance(value, str | bytes | PurePath | Mapping)


def _shown(value: object) -> str:
    if type(value).__module__ != "builtins":
        return CLASSES.get(type(value).__name__, f"of the type {type(value).__name__}")
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _listed(wanted: tuple[ArgumentType, ...]) -> str:
    kinds = list(
        dict.fromkeys(
            PLAIN[one.name][1] if one.name in PLAIN else CLASSES.get(one.name, f"a {one.name}") for one in wanted
        )
    )
    return " or ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds)


def _wanted(parameter: inspect.Parameter) -> dict[str, tuple[ArgumentType, ...]]:
    """Return the kinds that a parameter takes, by its name; of **options, those of each option."""
    found = parameter.annotation
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        options = next(iter(typing.get_args(found)), None)
        return {name: kinds_of(each) for name, each in getattr(options, "__annotations__", {}).items()}
    return {parameter.name: () if found is parameter.empty else kinds_of(found)}


def kinds_of(annotation: Any) -> tuple[ArgumentType, ...]:
    """Return the kinds that an annotation names.

    >>> [kind.name for kind in kinds_of("Sequence[str] | np.ndarray | None")]
    ['Sequence', 'ndarray', 'None']
    """
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return _kinds_in(ast.parse(annotation.strip(), mode="eval").body)
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return tuple(dict.fromkeys(kind for each in typing.get_args(annotation) for kind in kinds_of(each)))
    plain, inner = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    name = getattr(plain, "__name__", str(plain))
    name = SAME.get(name, name)
    items = [kind for each in inner[-1:] if name == "Mapping" for kind in kinds_of(each)]
    items += [kind for each in inner if name == "Sequence" and each is not ... for kind in kinds_of(each)]
    return (ArgumentType(name, tuple(dict.fromkeys(items))),)


def _kinds_in(node: ast.expr) -> tuple[ArgumentType, ...]:
    if isinstance(node, ast.BinOp):
        return tuple(dict.fromkeys((*_kinds_in(node.left), *_kinds_in(node.right))))
    if isinstance(node, ast.Subscript):
        (kind,) = _kinds_in(node.value)
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        inner = inner[-1:] if kind.name == "Mapping" else inner
        items = [each for one in inner if ast.unparse(one) != "..." for each in _kinds_in(one)]
        return (ArgumentType(kind.name, tuple(dict.fromkeys(items)) if kind.name in ("Sequence", "Mapping") else ()),)
    name = node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)
    return kinds_of(Paths) if name == "Paths" else (ArgumentType(SAME.get(name, name)),)
