"""LabelBank: the names of many lists, embedded once, to label videos by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.checks import typed
from framebank.library.stores import open_store
from framebank.library.table import html_lines
from framebank.library.texts import embed_texts
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.files.kinds import refuse_own_file
from framebank.store.files.place import require_place

if TYPE_CHECKING:
    from framebank.extract.encoders.encoder import Encoder
    from framebank.store import FeatureStore, LabelSet, PromptBank

LISTS = Path(__file__).with_name("lists")
BUILT_IN = ("kinetics700", "something-something-v2", "ucf101", "hmdb51", "charades", "activitynet")
TEMPLATES = ("a video of a person {}.",)  # one for each name, because there are many names


@dataclass(frozen=True, repr=False)
class LabelBank:
    """A file of embedded names. It prints as the command `labels build` does.

    `sources` has how many names each list gave. `twice` counts the names that several lists have, which are kept once.
    `alike` are names that the encoder cannot tell from an earlier one; they are left out.
    """

    path: Path
    prompts: "PromptBank"
    sources: Mapping[str, int]
    twice: int
    alike: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.prompts.labels)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts, the texts and the encoder as plain values."""
        return {
            "bank": str(self.path),
            "names": len(self),
            "rows": len(self.prompts.texts),
            "sources": dict(self.sources),
            "twice": self.twice,
            "alike": list(self.alike),
            "templates": list(self.prompts.templates),
            "texts": self.prompts.kind,
            "model": self.prompts.encoder.encoder,
        }

    def lines(self) -> list[str]:
        """Return what is in the file, what is not, and the encoder."""
        told = [f"{name}: {counted(count, 'name')}" for name, count in self.sources.items()]
        told.append(f"{counted(len(self), 'name')}, {counted(len(self.prompts.texts), 'text')} -> {self.path}")
        if self.twice:
            told.append(f"{counted(self.twice, 'name')} in two lists or more, kept once")
        if self.alike:
            shown = ", ".join(self.alike[:3]) + (", ..." if len(self.alike) > 3 else "")
            told.append(f"left out, one text with an earlier name to the encoder: {len(self.alike)} ({shown})")
        return [*told, f"by {self.prompts.encoder.encoder}"]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_lines(self.lines())


@typed
def build_labels(
    path: str | Path,
    sources: str | Path | Sequence[str | Path] = BUILT_IN,
    *,
    like: "FeatureStore | str | Path | None" = None,
    model: str | None = None,
    pretrained: str | None = None,
    templates: str | Sequence[str] | None = None,
    texts: str = "names",
    device: str = "auto",
    watch: Watch = unwatched,
) -> LabelBank:
    """Embed the names of several lists once and write them to `path`, as prompts that every call with `prompts` takes.

    `sources` are files of names (as `fb.prompts` reads them) or names of BUILT_IN lists; the default is all of these.
    The encoder is that of the store `like`, or `model` and `pretrained`. `templates` are as for `fb.prompts`; the
    default is one template. DataError if a list cannot be read, or if there is no encoder for the texts.

    >>> import framebank as fb
    >>> len(fb.build_labels("names.h5", ["ucf101", "hmdb51"], like="bank"))                    # doctest: +SKIP
    147
    """
    from framebank.extract.encoders.encoder import Encoder, encoder_like

    if (like is None) == (model is None):
        raise DataError("the names need one encoder; expected a store that has it (like), or a model (model)")
    refuse_own_file(Path(path))
    require_place(Path(path))
    names, counts, twice = _gathered([sources] if isinstance(sources, str | Path) else list(sources))
    if like is not None:
        encoder = encoder_like(open_store(like).spec, device=device)
    else:
        encoder = Encoder(str(model), pretrained, device=device)
    if encoder.random_weights:
        from framebank.store.errors import warn

        warn(f"{encoder.spec.model} has RANDOM WEIGHTS (pretrained none): its embeddings mean nothing")
    kept, alike = _told_apart(names, encoder, texts=texts)
    way = templates or (TEMPLATES if texts == "names" else None)
    prompts = embed_texts(kept, encoder, templates=way, texts=texts, watch=watch)
    prompts.write(Path(path))
    return LabelBank(Path(path), prompts, counts, twice, alike)


def read_list(source: str | Path) -> "LabelSet":
    """Return the names of a file, or of a list that comes with the project. DataError if it is neither."""
    from framebank.store import LabelSet

    if str(source) in BUILT_IN:
        return LabelSet.read(LISTS / f"{source}.txt")
    if not Path(source).exists():
        raise DataError(f"{source}: no such file of names; expected one, or one of {', '.join(BUILT_IN)}")
    return LabelSet.read(source)


def _gathered(sources: Sequence[str | Path]) -> "tuple[LabelSet, dict[str, int], int]":
    """Return the names of all lists, each once, how many each list has, and how many came twice."""
    from framebank.store import LabelSet
    from framebank.store.videos.labels import class_text

    if not sources:
        raise DataError(f"there is no list of names; expected a file, or one of {', '.join(BUILT_IN)}")
    names: dict[str, str] = {}
    descriptions: dict[str, tuple[str, ...]] = {}
    counts: dict[str, int] = {}
    for source in sources:
        found = read_list(source)
        counts[str(source)] = len(found)
        for name in found.names:
            kept = names.setdefault(class_text(name), name)
            if name in found.descriptions:
                descriptions.setdefault(kept, found.descriptions[name])
    return LabelSet(tuple(names.values()), descriptions), counts, sum(counts.values()) - len(names)


def _told_apart(names: "LabelSet", encoder: "Encoder", *, texts: str) -> "tuple[LabelSet, tuple[str, ...]]":
    """Return the names whose text the encoder reads differently from each earlier one, and the others."""
    from framebank.store import LabelSet
    from framebank.store.videos.labels import class_text

    if texts != "names":
        return names, ()
    tokens = encoder.reader.read([class_text(name) for name in names.names]).numpy()
    first: dict[bytes, str] = {}
    for name, row in zip(names.names, tokens, strict=True):
        first.setdefault(row.tobytes(), name)
    kept = tuple(first.values())
    alike = tuple(sorted(set(names.names) - set(kept)))
    return LabelSet(kept, {name: names.descriptions[name] for name in kept if name in names.descriptions}), alike
