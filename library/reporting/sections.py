"""Sections: each section of a page is made from its material, or left out with the reason."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from framebank.library.watch import Watch
from framebank.store.errors import DataError

Section = Any  # a frozen dataclass, or a tuple of them; each module of this room has its own
Material = TypeVar("Material")


def make_sections(
    makers: Mapping[str, Callable[[Material], Section]], material: Material, *, watch: Watch
) -> tuple[dict[str, Section], dict[str, str]]:
    """Return the sections by name, and why others are left out: a DataError in making one leaves it out."""
    sections: dict[str, Section] = {}
    left_out: dict[str, str] = {}
    for name, make in watch(makers.items(), total=len(makers), unit="section"):
        try:
            sections[name] = make(material)
        except DataError as error:
            left_out[name] = str(error)
    return sections, left_out


def plain(section: Section) -> Any:
    """Return a section, or each of several, as plain values."""
    return [one.to_dict() for one in section] if isinstance(section, tuple) else section.to_dict()
