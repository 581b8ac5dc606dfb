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
from framebank.commands.store_exchange import prompt_import_options


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
        _import(labels, out, like=like, as_json=as_json, **imported)
        return
    if like and (model or pretrained or precision != "auto"):
        raise click.UsageError("--like brings its own --model, --pretrained and --precision")
    if not like:
        model = required(model, "--like or --model")
    from framebank.library.exchange.prompt_files import write_prompts

    written = write_prompts(
        labels,
        out,
        like=like,
        model=model,
        pretrained=pretrained,
        precision=precision,
        templates=templates,
        texts=texts or "names",
        device=device,
        watch=progress,
    )
    warn_if_random(written)
    print_report(written.to_dict(), as_json=as_json, lines=written.lines())


def _import(
    labels: Path,
    out: Path,
    *,
    like: Path | None,
    source: Path | None,
    array: str | None,
    names: str | None,
    renamed: tuple[str, ...],
    logit_scale: float | None,
    as_json: bool,
) -> None:
    if not source or not like:
        raise click.UsageError(
            "--import needs --like, the store whose encoder made them, and --array, --names, --map "
            "and --logit-scale need --import"
        )
    from framebank.library.exchange.prompt_files import import_prompts

    written = import_prompts(
        labels, out, source, like=like, array=array, names=names, renamed=renamed, logit_scale=logit_scale
    )
    print_report(written.to_dict(), as_json=as_json, lines=written.lines())
