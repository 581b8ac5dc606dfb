"""Sections: each section of a page is made from its material, or left out if there is nothing to show."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from framebank.library.watch import Watch
from framebank.store.errors import DataError

Section = Any  # a frozen dataclass, or a tuple of them; each module of this room has its own
Material = TypeVar("Material")


class NothingToShowError(DataError):
    """A section has nothing to show. The message says why; the page is made without the section.

    Any other DataError, such as one about a damaged shard, ends the report.
    """


@dataclass(frozen=True)
class MadeSections:
    """The sections of a page by name, and why others are left out."""

    sections: Mapping[str, Section]
    left_out: Mapping[str, str]


def make_sections(
    makers: Mapping[str, Callable[[Material], Section]], material: Material, *, watch: Watch
) -> MadeSections:
    """Return the sections by name, and why others are left out: a NothingToShowError in making one leaves it out."""
    sections: dict[str, Section] = {}
    left_out: dict[str, str] = {}
    for name, make in watch(makers.items(), total=len(makers), unit="section"):
        try:
            sections[name] = make(material)
        except NothingToShowError as error:
            left_out[name] = str(error)
    return MadeSections(sections, left_out)


@contextlib.contextmanager
def shown_if_any() -> Iterator[None]:
    """Turn a DataError into a NothingToShowError. Use it around a call that reads no file."""
    try:
        yield
    except DataError as error:
        raise NothingToShowError(str(error)) from error


def plain(section: Section) -> Any:
    """Return a section, or each of several, as plain values."""
    return [one.to_dict() for one in section] if isinstance(section, tuple) else section.to_dict()
