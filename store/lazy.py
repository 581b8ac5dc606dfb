"""Lazy names: a room's public names, each loaded with its module when it is first asked for."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def lazy_names(room: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of the room with that full name, from each of its names to the module that holds it.

    What it returns raises AttributeError for any other name.
    """

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(f"{room}.{modules[name]}"), name)

    return load


def make_callable(room: str, *, module: str, name: str) -> None:
    """Let a room be called as a function, `name` of `module`, which is loaded then: `framebank.extract(...)`."""

    class CallableRoom(ModuleType):
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            return getattr(import_module(module), name)(*arguments, **options)

    sys.modules[room].__class__ = CallableRoom
