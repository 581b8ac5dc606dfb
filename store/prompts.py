"""PromptBank: the texts of the classes and their embeddings, in the order of the classes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.counts import counted, listed
from framebank.store.errors import DataError, warn
from framebank.store.files.kinds import refuse_own_file
from framebank.store.formats.datasets import Datasets
from framebank.store.formats.description import Value
from framebank.store.formats.sealed import write_datasets
from framebank.store.formats.typed import typed, typed_init
from framebank.store.spec import FeatureSpec
from framebank.store.vectors import near_pairs, unit
from framebank.store.videos.labels import LabelSet, class_text

NEAR = 0.999  # two classes with this cosine are nearly one; among 1,203 names of things, CLIP's nearest have 0.965
NUM_SHOWN = 5  # of such pairs

MEND = "make it again with `framebank prompts`"


@typed_init
@dataclass(frozen=True)
class PromptBank:
    """Prompts of C classes, packed: class c owns the rows from end[c-1] to end[c].

    embeddings (R, D) float32, not normalised. texts and template (R,) are the sentence of each row and the template
    that made it. A class has one row per template for its name, or one row per description and template. `encoder` says
    which text tower made them (only its model, weights and width count). `logit_scale` is that model's, and
    `logit_bias` too, if it was trained with a sigmoid, as SigLIP is.
    """

    labels: LabelSet
    texts: tuple[str, ...]
    embeddings: np.ndarray
    template: np.ndarray
    end: np.ndarray
    templates: tuple[str, ...]
    kind: str  # one of TEXT_KINDS
    encoder: FeatureSpec
    logit_scale: float
    logit_bias: float | None = None

    def __post_init__(self) -> None:
        """Check that the rows add up, and that every class has a row of every template."""
        rows = len(self.texts)
        if self.embeddings.shape != (rows, self.encoder.dim) or self.template.shape != (rows,):
            raise ValueError(f"{rows} texts with embeddings {self.embeddings.shape}, templates {self.template.shape}")
        if self.end.shape != (len(self.labels),) or self.end[-1] != rows or (np.diff(self.end, prepend=0) < 1).any():
            raise ValueError(f"{len(self.labels)} classes of {rows} rows do not end at {self.end.tolist()}")
        for name, own in zip(self.labels.names, np.split(self.template, self.end[:-1]), strict=True):
            if set(own.tolist()) != set(range(len(self.templates))):
                raise ValueError(f"the class {name!r} does not have every template")

    def per_template(self) -> np.ndarray:
        """Return unit class embeddings for each template, (P, C, D): the mean of its rows' unit vectors, made unit."""
        class_of = np.repeat(np.arange(len(self.labels)), np.diff(self.end, prepend=0))
        sums = np.zeros((len(self.templates), len(self.labels), self.encoder.dim), dtype=np.float32)
        np.add.at(sums, (self.template, class_of), unit(self.embeddings))
        return unit(sums)

    def class_embeddings(self) -> np.ndarray:
        """Return unit class embeddings, (C, D): the mean of all a class's unit vectors, made unit (as in CLIP)."""
        starts = np.concatenate([[0], self.end[:-1]])
        return unit(np.add.reduceat(unit(self.embeddings), starts, axis=0))

    def warn_of_near(self) -> None:
        """Warn if the embeddings of two classes are nearly the same, so that their texts can hardly tell them apart."""
        pairs = near_pairs(self.class_embeddings(), at_least=NEAR)
        if not pairs:
            return
        names = self.labels.names
        shown = listed((f"{names[a]!r} and {names[b]!r} ({cosine:.4f})" for a, b, cosine in pairs), most=NUM_SHOWN)
        warn(
            f"{counted(len(pairs), 'pair')} of classes {'has' if len(pairs) == 1 else 'have'} {self.kind} that are "
            f"nearly one text to {self.encoder.model} (cosine {NEAR} or more): {shown}; their texts can hardly "
            "tell them apart"
        )

    def norms(self) -> np.ndarray:
        """Return the mean norm of each class's rows, (C,) float32."""
        starts = np.concatenate([[0], self.end[:-1]])
        sums = np.add.reduceat(np.linalg.norm(self.embeddings, axis=1), starts)
        return np.asarray(sums / np.diff(self.end, prepend=0), dtype=np.float32)

    def padded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return every class's unit rows, (C, P, D) padded with zeros, and how many each class has (C,)."""
        counts = np.diff(self.end, prepend=0)
        rows = np.zeros((len(counts), counts.max(), self.encoder.dim), dtype=np.float32)
        for own, embeddings in zip(rows, np.split(unit(self.embeddings), self.end[:-1]), strict=True):
            own[: len(embeddings)] = embeddings
        return rows, counts

    def select(self, names: tuple[str, ...]) -> "PromptBank":
        """Return the prompts of some classes, in this order and under these names."""
        chosen = [self.labels.index(name) for name in names]
        starts = np.concatenate([[0], self.end[:-1]])
        rows = np.concatenate([np.arange(starts[c], self.end[c]) for c in chosen])
        return PromptBank(
            labels=LabelSet(names),
            texts=tuple(self.texts[row] for row in rows),
            embeddings=self.embeddings[rows],
            template=self.template[rows],
            end=np.cumsum([self.end[c] - starts[c] for c in chosen]),
            templates=self.templates,
            kind=self.kind,
            encoder=self.encoder,
            logit_scale=self.logit_scale,
            logit_bias=self.logit_bias,
        )

    def of_labels(self, labels: Sequence[str]) -> "PromptBank":
        """Return the prompts of the classes that `labels` mean, in their own order and under their own names."""
        wanted = set(map(class_text, labels))
        return self.select(tuple(name for name in self.labels.names if class_text(name) in wanted))

    def write(self, path: str | Path) -> None:
        """Write the bank as one HDF5 file, completely or not at all."""
        path = Path(path)
        refuse_own_file(path)
        datasets = {
            "label": list(self.labels.names),
            "text": list(self.texts),
            "embeddings": self.embeddings.astype(np.float32),
            "template": self.template.astype(np.int64),
            "end": self.end.astype(np.int64),
            "templates": list(self.templates),
        }
        attributes: dict[str, Value] = {
            "kind": self.kind,
            "logit_scale": float(self.logit_scale),
            **({} if self.logit_bias is None else {"logit_bias": float(self.logit_bias)}),
            "encoder": json.dumps(self.encoder.to_dict()),
        }
        write_datasets(path, datasets, attributes)

    @classmethod
    @typed
    def read(cls, path: str | Path) -> "PromptBank":
        """Read what `write` wrote. DataError if the file does not hold prompts, or if a checksum is missing."""
        path = Path(path)
        with Datasets(path, mend=MEND) as file:
            file.doubt()  # the file is small
            if not {"label", "text", "embeddings", "template", "end"} <= set(file.forms):
                raise DataError(f"{path}: holds no prompts; expected a file made by `framebank prompts`")
            logit_scale, kind = file.attributes.get("logit_scale"), file.attributes.get("kind")
            if not isinstance(logit_scale, int | float) or not isinstance(kind, str):
                raise file.damaged(f"is damaged: its logit_scale is {logit_scale!r}, its kind {kind!r}")
            bias = file.attributes.get("logit_bias")
            if "logit_bias" in file.attributes and not isinstance(bias, int | float):
                raise file.damaged(f"is damaged: its logit_bias is {bias!r}")
            encoder = _parsed(file, "encoder", dict)
            names = tuple(file.strings("label"))
            try:
                labels = LabelSet(names)
            except DataError as error:
                raise file.damaged(f"is damaged: {error}") from error
            try:
                return cls(
                    labels=labels,
                    texts=tuple(file.strings("text")),
                    embeddings=_numbers(file, "embeddings", "f").astype(np.float32, copy=False),
                    template=_numbers(file, "template", "iu").astype(np.int64, copy=False),
                    end=_numbers(file, "end", "iu").astype(np.int64, copy=False),
                    templates=_templates(file),
                    kind=kind,
                    encoder=FeatureSpec.from_dict(encoder, where=path),
                    logit_scale=float(logit_scale),
                    logit_bias=float(bias) if isinstance(bias, int | float) else None,
                )
            except ValueError as error:
                raise file.damaged(f"is damaged ({error})") from error


def _numbers(file: Datasets, name: str, kinds: str) -> np.ndarray:
    dtype = np.dtype(file.form(name).dtype)
    if dtype.kind not in kinds:
        expected = "floats" if kinds == "f" else "whole numbers"
        raise file.damaged(f"is damaged: {name} holds {dtype}, expected {expected}")
    return file.whole(name)


def _templates(file: Datasets) -> tuple[str, ...]:
    if "templates" in file.forms:
        return tuple(file.strings("templates"))
    found = _parsed(file, "templates", list)  # the form of an earlier version
    if not all(isinstance(template, str) for template in found):
        raise file.damaged("is damaged: its templates are not texts")
    return tuple(found)


def _parsed(file: Datasets, name: str, kind: type) -> Any:
    """Return an attribute that is JSON."""
    text = file.attributes.get(name)
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError) as error:
        raise file.damaged(f"is damaged: {name} cannot be read ({error})") from error
    if not isinstance(found, kind):
        raise file.damaged(f"is damaged: {name} is {str(text)[:80]!r}")
    return found
