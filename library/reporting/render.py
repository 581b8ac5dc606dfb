"""Rendering: sections become one HTML file, with its style, its script and its data inside."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from framebank import __version__
from framebank.library.reporting import charts
from framebank.library.reporting.drawings import DRAWINGS
from framebank.library.reporting.page import TITLES, ReportPage
from framebank.library.reporting.pictures import Pictures
from framebank.library.reporting.sections import MadeSections, plain
from framebank.store.counts import counted
from framebank.store.files.replacing import replacing
from framebank.store.lazy import require

HERE = Path(__file__).parent
NO_CELLS: Mapping[str, Any] = {"labels": [], "videos": [], "cells": {}, "pictures": {}}  # a page without a matrix


class HasPictures(Protocol):
    """What the sections of a page are made of, with what reads pictures for it."""

    @property
    def pictures(self) -> Pictures:
        """What reads the pictures."""


def write_report(
    out: Path,
    material: HasPictures,
    made: MadeSections,
    *,
    kind: str,
    headline: str,
    about: Mapping[str, Any],
    figures: Mapping[str, Any],
    data: Mapping[str, Any] = NO_CELLS,
) -> ReportPage:
    """Write the page of some sections, and return what it says.

    `kind` names its template. `about` is what the template reads beside the sections, with the `title` and the `notes`
    below the headline. `figures` stand before those of the sections. `data` is what the script of the page reads.
    """
    context = {"kind": kind, "headline": headline, "material": material, "left_out": made.left_out, **about}
    size = _write_page(out, {**context, **made.sections}, data)
    found = {**figures, **{name: plain(section) for name, section in made.sections.items()}}
    read = material.pictures
    return ReportPage(out, headline, found, made.left_out, read.read - len(read.failed), size, read.failed)


def _write_page(out: Path, context: Mapping[str, Any], data: Mapping[str, Any]) -> int:
    """Write the page and return its size in bytes. `data` is what its script reads, as JSON.

    The same sections give the same bytes: no time of day is on the page.

    DataError if jinja2 is not installed, or the place cannot be written to.
    """
    jinja2 = require("jinja2", extra="report", what=out.name)
    markup = require("markupsafe", extra="report", what=out.name).Markup
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "points": points, "clock": clock, "comma": "{:,}".format}
    environment.globals |= {
        "counted": counted,
        "titles": TITLES,
        **{name: _marked(draw, markup) for name, draw in DRAWINGS.items()},
        "range_bar": _marked(charts.range_bar, markup),
        "share_bar": _marked(charts.share_bar, markup),
    }
    text = environment.get_template("page.html").render(
        **context,
        style=markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=markup((HERE / "page.js").read_text(encoding="utf-8")),
        data=markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")),
        version=__version__,
    )
    content = text.encode("utf-8", "replace")
    with replacing(out) as part:
        part.write_bytes(content)
    return len(content)


def _marked(draw: Any, markup: Any) -> Any:
    """A function whose SVG is not escaped again."""
    return lambda *arguments, **options: markup(draw(*arguments, **options))


def percent(share: float) -> str:
    """Return a share as a number of hundredths.

    >>> percent(0.8734)
    '87.3'
    """
    return f"{100 * share:.1f}"


def points(share: float) -> str:
    """Return a difference of shares as points with a sign.

    >>> points(-0.0312)
    '-3.1'
    """
    return f"{100 * share:+.1f}"


def clock(seconds: float) -> str:
    """Return seconds as people write a time.

    >>> clock(7.25), clock(754.0), clock(7512.0)
    ('7.2 s', '12:34', '2:05:12')
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
