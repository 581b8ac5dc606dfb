"""Lazy: names and libraries that are loaded when they are first used."""

import inspect
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from framebank.store.errors import DataError


def lazy_names(room: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a room with this full name. `modules` maps each of its names to its module.

    The returned function raises AttributeError for any other name.
    """

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(f"{room}.{modules[name]}"), name)

    return load


def require(module: str, *, extra: str, what: object) -> ModuleType:
    """Return a module of a library that an extra of this package installs. DataError if it cannot be loaded.

    `what` is the thing that needs it, for the message.
    """
    library = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name in (module, library):
            raise DataError(f"{what}: {library} is not installed (pip install framebank[{extra}])") from error
        raise DataError(f"{what}: {library} is installed and cannot be loaded ({error})") from error


def make_callable(room: str, *, module: str, name: str) -> None:
    """Make a room callable as the function `name` of `module`, which is loaded at the call: `framebank.extract(...)`.

    `help` of the room shows the help of the function, and after it the room itself.
    """
    about = sys.modules[room].__doc__ or ""

    def load() -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(import_module(module), name)
        return found

    def call(_: ModuleType, *arguments: Any, **options: Any) -> Any:
        return load()(*arguments, **options)

    def told(_: ModuleType) -> str:
        first, _blank, rest = (inspect.getdoc(load()) or "").partition("\n\n")
        return f"{first}\n\n{name}{inspect.signature(load())}\n\n{rest}\n\nAs a room: {about}"

    parts = {
        "__call__": call,
        "__doc__": property(told),
        "__signature__": property(lambda _: inspect.signature(load())),
    }
    sys.modules[room].__class__ = type("CallableRoom", (ModuleType,), parts)
