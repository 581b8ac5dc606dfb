"""Heads in and out: a trained run as a file for other programs, and a published checkpoint as a run."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from framebank.library.texts import embed_texts
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.errors import DataError

SUFFIXES = (".onnx", ".safetensors")


@dataclass(frozen=True, repr=False)
class ExportedHead:
    """The file of a trained model: an ONNX file with its difference from the run, or weights with a file about them."""

    path: Path
    num_classes: int
    largest_difference: float | None = None  # of scores, for ONNX
    about: Path | None = None  # for weights

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values: the contract for scripts."""
        off = {} if self.largest_difference is None else {"largest_difference": self.largest_difference}
        return {"file": str(self.path), "labels": self.num_classes, **off}

    def lines(self) -> list[str]:
        """Return what the command prints."""
        if self.largest_difference is None:
            return [f"{self.path}: the weights; {self.about}: labels, recipe and encoder"]
        classes = counted(self.num_classes, "class", "classes")
        return [f"{self.path}: {classes}; its scores are within {self.largest_difference:.1g} of the run's"]

    def __repr__(self) -> str:
        return "\n".join(self.lines())


@dataclass(frozen=True, repr=False)
class PublishedRun:
    """The run that was made of a published checkpoint, and the weights of its encoder."""

    path: Path
    head: str
    model: str
    weights: Path
    num_classes: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values: the contract for scripts."""
        encoder = {"model": self.model, "pretrained": str(self.weights)}
        return {"run": str(self.path), "head": self.head, **encoder, "classes": self.num_classes}

    def lines(self) -> list[str]:
        """Return what the command prints."""
        return [
            f"{self.head} of {counted(self.num_classes, 'class', 'classes')} -> {self.path}",
            f"next: framebank extract VIDEOS STORE --model {self.model} --pretrained {self.weights}",
            f"      framebank evaluate {self.path} --store STORE",
        ]

    def __repr__(self) -> str:
        return "\n".join(self.lines())


def export_head(run: Path, file: Path) -> ExportedHead:
    """Write the model of a run to a file: .onnx for other runtimes, or .safetensors with a .json beside it.

    The scores of the ONNX file are compared with those of the run before it is kept. DataError for another suffix, and
    for a model that cannot be written so.
    """
    if file.suffix not in SUFFIXES:
        raise DataError(f"{file}: expected a name that ends in {' or '.join(SUFFIXES)}")
    from framebank.heads.exchange.export import export_onnx, export_weights
    from framebank.heads.training.run import Run
    from framebank.store.files.kinds import refuse_own_file
    from framebank.store.files.place import require_place

    refuse_own_file(file)
    require_place(file)
    trained = Run.read(run)
    if file.suffix == ".onnx":
        return ExportedHead(file, len(trained.labels), largest_difference=export_onnx(trained, file))
    return ExportedHead(file, len(trained.labels), about=export_weights(trained, file))


def import_checkpoint(
    checkpoint: Path,
    run: Path,
    *,
    labels: Path,
    model: str | None = None,
    legacy_axes: bool = False,
    templates: str | None = None,
    device: str = "auto",
    watch: Watch = unwatched,
) -> PublishedRun:
    """Make a run of a published ActionCLIP checkpoint: its head, and its fine-tuned CLIP as clip.safetensors.

    `labels` is a file of the classes of the checkpoint, in their order. The name of its `model` is found from the
    shapes of the weights. DataError if the file is not such a checkpoint, or if the run is there already.
    """
    from framebank.extract.encoders.encoder import Encoder
    from framebank.heads.exchange.published import CLIP, build_run, model_name, read_checkpoint, write_clip
    from framebank.heads.training.folder import taking
    from framebank.store import LabelSet
    from framebank.store.files.replacing import replacing_together

    with taking(run, what="run", overwrite=False):
        clip, fusion = read_checkpoint(checkpoint)
        name = model or model_name(clip, where=checkpoint)
        classes = LabelSet.read(labels)
        weights = run / CLIP
        with replacing_together(run) as part:
            try:
                encoder = Encoder(name, str(write_clip(clip, part / CLIP)), device=device)
            except DataError as error:
                raise DataError(str(error).replace(str(part / CLIP), str(checkpoint))) from error
            prompts = embed_texts(classes, encoder, templates=templates, texts="names", watch=watch)
            prompts = replace(prompts, encoder=replace(prompts.encoder, pretrained=str(weights.absolute())))
            made = build_run(fusion, prompts.encoder, prompts, where=checkpoint, legacy_axes=legacy_axes)
            made.put(part, log=[])
    return PublishedRun(run, made.recipe.head, name, weights, len(classes))
