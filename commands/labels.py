"""The group labels: make a bank of names to label videos by."""

from pathlib import Path

import click

from framebank.commands.group import Group
from framebank.commands.options import PATH, device_option, json_option, model_options, required, texts_option
from framebank.commands.printing import print_report, progress


@click.group(cls=Group, short_help="Make a bank of names to label videos by.")
def labels() -> None:
    """Make a bank of names to label videos by."""


@labels.command(short_help="Embed the names of several lists once.")
@click.argument("bank", type=PATH)
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="LIST",
    help="A file, or kinetics700, something-something-v2, ucf101, hmdb51, charades or activitynet.  [these six]",
)
@click.option("--like", type=PATH, help="A store: its encoder is used.")
@model_options
@click.option(
    "--templates",
    help="actionclip, clip-kinetics, clip-ucf101, bare, or a file of templates.  [a video of a person {}.]",
)
@texts_option
@device_option
@json_option
def build(
    bank: Path,
    sources: tuple[str, ...],
    like: Path | None,
    model: str | None,
    pretrained: str | None,
    templates: str | None,
    texts: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Embed the names of several lists into the file BANK, each name once.

    `label --bank`, `label-store --bank` and every command with --prompts take the file. The encoder is that of --like,
    or --model. One template is used, because there are many names.

    \b
    framebank labels build names.h5 --like bank
    framebank labels build names.h5 --from kinetics700 --from mine.txt --model ViT-B-16 --pretrained openai
    """
    if like and (model or pretrained):
        raise click.UsageError("--like brings its own --model and --pretrained")
    if not like:
        model = required(model, "--like or --model")
    from framebank.library.asking.label_bank import BUILT_IN, build_labels

    found = build_labels(
        bank,
        sources or BUILT_IN,
        like=like,
        model=model,
        pretrained=pretrained,
        templates=templates,
        texts=texts or "names",
        device=device,
        watch=progress,
    )
    print_report(found.to_dict(), as_json=as_json, lines=found.lines())
