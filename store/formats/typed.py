"""Typed: calls and constructors that compare their arguments with their annotations, and say what was expected."""

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

# Several files. A str is a single file, although Python calls it a sequence.
Paths = list[str] | list[Path] | list[str | Path] | tuple[str | Path, ...]


class WrongTypeError(DataError, TypeError):
    """An argument in Python has the wrong type. It is a DataError and a TypeError."""


Checked = TypeVar("Checked", bound=Callable[..., Any])
Class = TypeVar("Class")


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
SIMPLE = {str, bool, int, float, type(None)}  # of a value of these, its type alone says whether it is right
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

    >>> def search(query: str, k: int = 5) -> None: ...
    >>> typed(search)("waving", k="three")
    Traceback (most recent call last):
    ...
    framebank.store.formats.typed.WrongTypeError: search: k is 'three'; expected a whole number
    """
    if inspect.isclass(function):
        for name, method in list(vars(function).items()):
            if not name.startswith("_") and isinstance(method, classmethod):
                setattr(function, name, classmethod(typed(method.__func__)))
            elif not name.startswith("_") and inspect.isfunction(method):
                setattr(function, name, typed(method))
        return function
    signature, name_of_call = inspect.signature(function), _name_of(function)
    wanted = {name: _wanted(parameter) for name, parameter in signature.parameters.items()}
    first = int(next(iter(signature.parameters), "") in ("self", "cls"))
    right: set[tuple[object, ...]] = set()  # types, all of SIMPLE, that were found to be right

    @functools.wraps(function)
    def checked(*arguments: Any, **options: Any) -> Any:
        given_types = (*map(type, arguments[first:]), *options, *map(type, options.values()))
        if given_types in right:
            return function(*arguments, **options)
        try:
            given = signature.bind(*arguments, **options).arguments
        except TypeError as error:
            raise TypeError(f"{name_of_call}: {error}") from None
        for name, value in given.items():
            several = signature.parameters[name].kind
            if several is inspect.Parameter.VAR_KEYWORD:
                _require_options(name_of_call, value, wanted[name])
            elif several is inspect.Parameter.VAR_POSITIONAL:
                for each in value:
                    _require_type(name_of_call, name, each, wanted[name][name])
            else:
                _require_type(name_of_call, name, value, wanted[name][name])
        if all(type(value) in SIMPLE for value in (*arguments[first:], *options.values())):
            right.add(given_types)
        return function(*arguments, **options)

    return typing.cast("Checked", checked)


def typed_init(cls: type[Class]) -> type[Class]:
    """Return a class whose constructor first compares its arguments with their annotations, as `typed` does.

    >>> @typed_init
    ... @dataclass
    ... class Stretch:
    ...     start: float
    >>> Stretch("x")
    Traceback (most recent call last):
    ...
    framebank.store.formats.typed.WrongTypeError: Stretch: start is 'x'; expected a number
    """
    setattr(cls, "__init__", typed(vars(cls)["__init__"]))  # noqa: B010 - mypy refuses the plain assignment
    return cls


def _name_of(function: Callable[..., Any]) -> str:
    """Return how a message calls a function: a constructor by its class."""
    name = function.__name__
    return function.__qualname__.split(".")[-2] if name == "__init__" else name


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
