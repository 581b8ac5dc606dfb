"""Videos and class names become embeddings.

Names are loaded when they are asked for: decoding processes need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framebank.extract.pipeline import Outcome, extract_videos
    from framebank.extract.prompts import TEMPLATES, embed_prompts, read_templates

__all__ = ["TEMPLATES", "Outcome", "embed_prompts", "extract_videos", "read_templates"]

_MODULES = {
    "Outcome": "pipeline",
    "TEMPLATES": "prompts",
    "embed_prompts": "prompts",
    "extract_videos": "pipeline",
    "read_templates": "prompts",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
