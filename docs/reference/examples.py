"""Show the examples of docstrings as code: lines from `>>>` on become a code block. mkdocstrings loads this file."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)


def fenced(docstring: str) -> str:
    """Return the docstring with each example in a code block, without the marks that only doctest reads."""
    return EXAMPLE.sub(lambda found: f"```pycon\n{re.sub(r' *# doctest:.*', '', found[0])}\n```", docstring)


class Examples(griffe.Extension):
    """Fence the examples of every object that the reference shows."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
