"""Videos and class names become embeddings.

Names are loaded when they are asked for: decoding processes need no torch.
"""

from typing import TYPE_CHECKING

from framebank.store.lazy import lazy_names

if TYPE_CHECKING:
    from framebank.extract.pipeline import Outcome, extract_videos
    from framebank.extract.prompts import TEMPLATES, embed_prompts, read_templates

__all__ = ["TEMPLATES", "Outcome", "embed_prompts", "extract_videos", "read_templates"]

__getattr__ = lazy_names(
    __name__,
    {
        "Outcome": "pipeline",
        "TEMPLATES": "prompts",
        "embed_prompts": "prompts",
        "extract_videos": "pipeline",
        "read_templates": "prompts",
    },
)
