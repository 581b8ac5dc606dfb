"""The command that embeds the texts of classes: prompts."""

from pathlib import Path
from typing import Any

import click

from framebank.commands.options import (
    PATH,
    encoder_options,
    json_option,
    model_options,
    required,
    template_option,
    texts_option,
)
from framebank.commands.printing import print_report, progress, warn_if_random
from framebank.commands.store_exchange import prompt_import_options, write_imported_prompts
from framebank.library.texts import embed_texts
from framebank.store.counts import counted


@click.command(short_help="Embed the texts of the classes into a file.")
@click.argument("labels", type=PATH)
@click.argument("out", type=PATH)
@click.option("--like", type=PATH, help="A store: its encoder is used.")
@model_options
@template_option
@texts_option
@encoder_options
@prompt_import_options
@json_option
def prompts(
    labels: Path,
    out: Path,
    like: Path | None,
    model: str | None,
    pretrained: str | None,
    templates: str | None,
    texts: str | None,
    device: str,
    precision: str,
    as_json: bool,
    **imported: Any,
) -> None:
    """Embed the texts of the classes in LABELS into the file OUT.

    With --import no text is embedded: the command takes the rows of a file that have the names of the classes.

    \b
    framebank prompts labels.txt classes.h5 --like bank --templates actionclip
    framebank prompts labels.txt classes.h5 --like bank --import lvis-names.npz --map automobile="car_(automobile)"
    """
    if any(imported.values()):
        if model or pretrained or templates or texts or precision != "auto" or device != "auto":
            raise click.UsageError("--import embeds nothing: it works only with --like and the options of the import")
        write_imported_prompts(labels, out, like=like, as_json=as_json, **imported)
        return
    if like and (model or pretrained or precision != "auto"):
        raise click.UsageError("--like brings its own --model, --pretrained and --precision")
    if not like:
        model = required(model, "--like or --model")
    from framebank.store import FeatureStore, LabelSet

    classes = LabelSet.read(labels)
    if like:
        spec = FeatureStore(like).spec
    from framebank.extract.encoders.encoder import Encoder, encoder_like

    if like:
        encoder = encoder_like(spec, device=device)
    else:
        encoder = Encoder(str(model), pretrained, device=device, precision=precision)
    warn_if_random(encoder)
    bank = embed_texts(classes, encoder, templates=templates, texts=texts or "names", watch=progress)
    bank.write(out)
    report = {
        "prompts": str(out),
        "classes": len(bank.labels),
        "rows": len(bank.texts),
        "texts": bank.kind,
        "templates": list(bank.templates),
        "model": bank.encoder.encoder,
    }
    lines = [
        f"{counted(len(bank.labels), 'class', 'classes')}, {counted(len(bank.texts), 'prompt')} of their {bank.kind} "
        f"-> {out}",
        f"by {report['model']}",
    ]
    print_report(report, as_json=as_json, lines=lines)
