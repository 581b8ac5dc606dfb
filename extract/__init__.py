"""Videos and class names become embeddings. Loads no decoder and no open_clip: those doors are imported by name."""

from framebank.extract.pipeline import Outcome, extract_videos
from framebank.extract.prompts import TEMPLATES, embed_prompts, read_templates

__all__ = ["TEMPLATES", "Outcome", "embed_prompts", "extract_videos", "read_templates"]
