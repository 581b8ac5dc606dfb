"""Lexicon: phrases from a file of prompts that describe what a frame shows."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from framebank.store.errors import DataError
from framebank.store.prompts import PromptBank
from framebank.store.spec import FeatureSpec


@dataclass(frozen=True)
class Lexicon:
    """M phrases, the classes of a file made by `framebank prompts`: unit embeddings (M, D), and facts about the file.

    A phrase with several templates or descriptions is their mean. `sha256` is the hash of the whole file.
    """

    path: Path
    sha256: str
    embeddings: Tensor

    @classmethod
    def read(cls, path: str | Path, *, spec: FeatureSpec, where: object) -> "Lexicon":
        """Read a file for the store `where`, of `spec`.

        DataError if the file is missing, holds no prompts or only one phrase, or comes from another encoder.
        """
        path = Path(path)
        prompts = PromptBank.read(path)
        spec.require_same_encoder(prompts.encoder, mine=where, theirs=path)
        if len(prompts.labels) < 2:  # a frame is described by comparing phrases
            raise DataError(f"{path}: is a lexicon of one phrase, {prompts.labels.names[0]!r}; expected 2 or more")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(path, sha256, torch.from_numpy(prompts.class_embeddings()))

    def about(self) -> dict[str, str | int]:
        """Return what a run records about it: the file's path and hash, and the number of phrases."""
        return {"file": str(self.path.absolute()), "sha256": self.sha256, "phrases": len(self.embeddings)}
