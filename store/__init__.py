"""What is kept on disk: manifest, shards, prompts, index. Knows no video and no model."""

from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.labels import LabelSet
from framebank.store.manifest import Manifest, Video
from framebank.store.prompts import PromptBank
from framebank.store.shard import Embeddings, ShardWriter
from framebank.store.spec import FeatureSpec

__all__ = [
    "DataError",
    "Embeddings",
    "FeatureSpec",
    "FeatureStore",
    "LabelSet",
    "Manifest",
    "PromptBank",
    "ShardWriter",
    "Video",
]
