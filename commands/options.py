"""Options that several commands share."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return one decorator for several options, in the order of the help."""
    return lambda command: functools.reduce(lambda inner, option: option(inner), reversed(options), command)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
device_option = click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
split_option = click.option("--split", default="test", help="The split to score, or all.")
run_option = click.option(
    "--run", "run_path", type=PATH, help="Pool the frames with this run's head instead of their mean."
)
model_options = together(
    click.option("--model", help="An open_clip model, such as ViT-B-16, or demo."),
    click.option("--pretrained", help="One of its tags, such as openai, or a checkpoint file."),
)
encoder_options = together(
    device_option,
    click.option("--precision", default="auto", help="auto, fp32, bf16 or fp16."),
)
template_option = click.option(
    "--templates", help="actionclip, bare, or a file of templates.  [actionclip; descriptions: bare]"
)
texts_option = click.option(
    "--texts", type=click.Choice(["names", "descriptions"]), help="What stands for a class.  [names]"
)
labels_option = click.option(
    "--labels", type=PATH, help="Class names, one a line, or JSON of name to descriptions.  [the store's labels]"
)
prompts_option = click.option(
    "--prompts", type=PATH, help="Class embeddings made by `framebank prompts`, instead of --labels."
)
text_options = together(labels_option, prompts_option, template_option, texts_option)
scoring_option = click.option(
    "--scoring",
    type=click.Choice(["probabilities", "embeddings"]),
    default="probabilities",
    help="Average the templates' probabilities (ActionCLIP) or their embeddings (CLIP).",
)


def required(value: str | None, option: str) -> str:
    """Return the value of an option that has no default; wrong usage where it was not given."""
    if not value:
        raise click.UsageError(f"{option} is needed; a good start is --model ViT-B-16 --pretrained openai")
    return value
