"""Prompt files: the embedded texts of classes, written to a file by an encoder or out of a file of another program."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.texts import embed_texts
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.files.kinds import refuse_own_file
from framebank.store.files.place import require_place

if TYPE_CHECKING:
    from framebank.store import FeatureSpec, PromptBank


@dataclass(frozen=True, repr=False)
class PromptFile:
    """Prompts and the file that holds them; `source` is the file that their rows were imported from, if any."""

    path: Path
    bank: "PromptBank"
    source: Path | None = None
    random_weights: bool = False

    @property
    def spec(self) -> "FeatureSpec":
        """What made the prompts."""
        return self.bank.encoder

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and what made the prompts, as plain values."""
        made: dict[str, Any] = {"imported_from": str(self.source)}
        if self.source is None:
            made = {"texts": self.bank.kind, "templates": list(self.bank.templates)}
        counts = {"classes": len(self.bank.labels), "rows": len(self.bank.texts)}
        return {"prompts": str(self.path), **counts, **made, "model": self.bank.encoder.encoder}

    def lines(self) -> list[str]:
        """Return what the command prints."""
        classes, rows = counted(len(self.bank.labels), "class", "classes"), len(self.bank.texts)
        model = self.bank.encoder.encoder
        if self.source is not None:
            return [f"{classes}, {counted(rows, 'row')} of {self.source} -> {self.path}", f"for {model}"]
        return [f"{classes}, {counted(rows, 'prompt')} of their {self.bank.kind} -> {self.path}", f"by {model}"]

    def __repr__(self) -> str:
        return "\n".join(self.lines())


def write_prompts(
    labels: Path,
    out: Path,
    *,
    like: Path | None = None,
    model: str | None = None,
    pretrained: str | None = None,
    precision: str = "auto",
    templates: str | None = None,
    texts: str = "names",
    device: str = "auto",
    watch: Watch = unwatched,
) -> PromptFile:
    """Embed the texts of the classes in the file `labels` into the file `out`.

    The encoder is that of the store `like`, or that of `model` with its `pretrained` weights. DataError if a class is
    empty or appears twice, or if the encoder cannot be made.
    """
    from framebank.store import FeatureStore, LabelSet

    refuse_own_file(out)
    require_place(out)
    classes = LabelSet.read(labels)
    spec = FeatureStore(like).spec if like else None  # what is wrong with it is told before torch is loaded
    from framebank.extract.encoders.encoder import Encoder, encoder_like

    if spec:
        encoder = encoder_like(spec, device=device)
    else:
        encoder = Encoder(str(model), pretrained, device=device, precision=precision)
    bank = embed_texts(classes, encoder, templates=templates, texts=texts, watch=watch)
    bank.write(out)
    return PromptFile(out, bank, random_weights=encoder.random_weights)


def import_prompts(
    labels: Path,
    out: Path,
    source: Path,
    *,
    like: Path,
    array: str | None = None,
    names: str | None = None,
    renamed: Sequence[str] = (),
    logit_scale: float | None = None,
) -> PromptFile:
    """Write the rows of `source` that have the names of the classes as prompts of the encoder of the store `like`.

    `renamed` has CLASS=NAME for a class with another name in that file. DataError if a class has no row.
    """
    from framebank.store import FeatureStore, LabelSet
    from framebank.store.exchange.imported_prompts import look_up_prompts, read_renamed

    bank = look_up_prompts(
        LabelSet.read(labels),
        source,
        array=array,
        names=names,
        renamed=read_renamed(tuple(renamed)),
        encoder=FeatureStore(like).spec,
        logit_scale=logit_scale or 100.0,
    )
    bank.write(out)
    return PromptFile(out, bank, source=source)
