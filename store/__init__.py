"""What is kept on disk: manifest, shards, prompts, index. This room knows no video and no model.

A name is loaded when it is first used: decoding processes need the errors and nothing else.
"""

from typing import TYPE_CHECKING

from framebank.store.lazy import lazy_names
from framebank.store.moved import serve_moved

if TYPE_CHECKING:
    from framebank.store.errors import DataError, DataWarning
    from framebank.store.features import FeatureStore
    from framebank.store.prompts import PromptBank
    from framebank.store.shard import Embeddings, ShardWriter
    from framebank.store.spans.span import Span
    from framebank.store.spec import FeatureSpec
    from framebank.store.videos.labels import LabelSet
    from framebank.store.videos.manifest import Manifest, Video

__all__ = [
    "DataError",
    "DataWarning",
    "Embeddings",
    "FeatureSpec",
    "FeatureStore",
    "LabelSet",
    "Manifest",
    "PromptBank",
    "ShardWriter",
    "Span",
    "Video",
]

__getattr__ = lazy_names(
    __name__,
    {
        "DataError": "errors",
        "DataWarning": "errors",
        "Embeddings": "shard",
        "FeatureSpec": "spec",
        "FeatureStore": "features",
        "LabelSet": "videos.labels",
        "Manifest": "videos.manifest",
        "PromptBank": "prompts",
        "ShardWriter": "shard",
        "Span": "spans.span",
        "Video": "videos.video",
    },
)

serve_moved("store")
