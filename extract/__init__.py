"""Videos and class names become embeddings.

Names are loaded when they are asked for: decoding processes need no torch. The room itself can be called, and has the
help of that call: `framebank.extract("videos/", "bank", model="ViT-B-16")`.

The second of a frame comes from its packet (`decoders/packets.py`). `sampling.py` chooses the frames, asked by
`Task.run` in `worker.py`; a decoder returns their seconds as `Clip.timestamps`. `rows.py` repeats them for each view,
and `ShardWriter.flush` in `store/shard.py` writes them.
"""

from typing import TYPE_CHECKING

from framebank.store.lazy import lazy_names, make_callable
from framebank.store.moved import serve_moved

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

make_callable(__name__, module="framebank.library.extraction", name="extract")

serve_moved("extract")
