"""Prompts: sentences made of class names or descriptions, and their embeddings, by any encoder."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from framebank.extract.encoders.tokens import TextReader
from framebank.store.errors import DataError
from framebank.store.formats.text import lines_of, read_text
from framebank.store.prompts import PromptBank
from framebank.store.spec import FeatureSpec
from framebank.store.videos.labels import TEXT_KINDS, LabelSet, class_text

# ActionCLIP's sixteen (Wang et al. 2021, arXiv 2109.08472), in the order of the published code.
ACTIONCLIP = (
    "a photo of action {}",
    "a picture of action {}",
    "Human action of {}",
    "{}, an action",
    "{} this is an action",
    "{}, a video of action",
    "Playing action of {}",
    "{}",
    "Playing a kind of action, {}",
    "Doing a kind of action, {}",
    "Look, the human is {}",
    "Can you recognize the action of {}?",
    "Video classification of {}",
    "A video of {}",
    "The man is {}",
    "The woman is {}",
)

MEDIA = ("photo", "video", "example", "demonstration")
DOINGS = ("", "using ", "doing ", "during ", "performing ", "practicing ")  # what a person does with the class

# The 28 that CLIP was measured with on Kinetics700, and the 48 on UCF101 (Radford et al. 2021, arXiv 2103.00020): the
# words, "a example" among them, and the order are those of data/prompts.md in the repository openai/CLIP.
CLIP_KINETICS = tuple(
    f"a {medium} of {who}{{}}." for medium in MEDIA for who in ("", *(f"a person {doing}" for doing in DOINGS))
)
CLIP_UCF101 = tuple(
    f"a {medium} of {one} person {doing}{{}}." for doing in DOINGS for one in ("a", "the") for medium in MEDIA
)

TEMPLATES: dict[str, tuple[str, ...]] = {
    "actionclip": ACTIONCLIP,
    "clip-kinetics": CLIP_KINETICS,
    "clip-ucf101": CLIP_UCF101,
    "bare": ("{}",),
}


class TextEncoder(Protocol):
    """What this module needs from an encoder."""

    spec: FeatureSpec

    @property
    def logit_scale(self) -> float:
        """What a cosine is multiplied by."""
        ...

    @property
    def logit_bias(self) -> float | None:
        """What is then added, if the encoder was trained with a sigmoid."""
        ...

    @property
    def reader(self) -> TextReader:
        """What tells how the encoder reads texts."""
        ...

    def encode_texts(
        self,
        texts: Sequence[str],
        *,
        phrases: Sequence[str] | None = None,
        watch: Callable[[Sequence[list[str]]], Iterable[list[str]]] = iter,
    ) -> np.ndarray:
        """Return un-normalised embeddings (N, D) float32; warn of texts that are cut, and of unknown words."""
        ...


def read_templates(name: str) -> tuple[str, ...]:
    """Return the templates of a name in TEMPLATES, or of a text file with one for each line; {} is the class."""
    if name in TEMPLATES:
        return TEMPLATES[name]
    path = Path(name)
    if not path.is_file():
        raise DataError(f"{name!r} is neither a template set ({', '.join(TEMPLATES)}) nor a file of templates")
    lines = tuple(lines_of(read_text(path, what="a template file"), where=path))
    if not lines:
        raise DataError(f"{path}: holds no template; expected one for each line, with {{}} where the class goes")
    require_places(lines, where=path)
    return lines


def require_places(templates: Sequence[str], *, where: object) -> None:
    """Refuse a template without a place for the class: DataError."""
    for template in templates:
        if template.count("{}") != 1:
            raise DataError(f"{where}: the template {template!r} does not hold {{}} once, where the class goes")


def embed_prompts(
    labels: LabelSet,
    encoder: TextEncoder,
    *,
    templates: Sequence[str] = ACTIONCLIP,
    kind: str = "names",
    watch: Callable[[Sequence[list[str]]], Iterable[list[str]]] = iter,
) -> PromptBank:
    """Embed each class's name, or each of its descriptions, in every template.

    `watch` passes the batches of sentences on and may show the progress. DataError if descriptions are wanted and a
    class has none, or if the encoder reads the same tokens for two classes, because their texts differ only in the part
    that is cut. A DataWarning names texts that are cut, words that the encoder does not know, and classes whose
    embeddings are nearly the same.
    """
    if kind not in TEXT_KINDS:
        raise ValueError(f"kind {kind!r}, expected one of {TEXT_KINDS}")
    if kind == "descriptions" and not labels.described:
        bare = next(name for name in labels.names if not labels.descriptions.get(name))
        raise DataError(f"the class {bare!r} has no description; expected JSON of name to list of descriptions")
    phrases = [labels.descriptions[name] if kind == "descriptions" else (class_text(name),) for name in labels.names]
    texts = [template.replace("{}", phrase) for own in phrases for phrase in own for template in templates]
    end = np.cumsum([len(own) * len(templates) for own in phrases])
    _require_distinct(labels.names, texts, end, encoder=encoder)
    words = [phrase for own in phrases for phrase in own]
    bank = PromptBank(
        labels=LabelSet(labels.names),
        texts=tuple(texts),
        embeddings=encoder.encode_texts(texts, phrases=words, watch=watch),
        template=np.tile(np.arange(len(templates)), sum(len(own) for own in phrases)),
        end=end,
        templates=tuple(templates),
        kind=kind,
        encoder=encoder.spec,
        logit_scale=encoder.logit_scale,
        logit_bias=encoder.logit_bias,
    )
    bank.warn_of_near()
    return bank


def _require_distinct(names: Sequence[str], texts: Sequence[str], end: np.ndarray, *, encoder: TextEncoder) -> None:
    tokens = encoder.reader.read(texts).numpy()
    seen: dict[tuple[bytes, ...], str] = {}
    for name, own in zip(names, np.split(tokens, end[:-1]), strict=True):
        other = seen.setdefault(tuple(sorted(row.tobytes() for row in own)), name)
        if other != name:
            raise DataError(
                f"the classes {other!r} and {name!r} are the same for the encoder: {encoder.spec.model} reads "
                f"{encoder.reader.length} tokens of a text, start and end included, and theirs are the same up to "
                "there; expected texts that differ sooner"
            )
