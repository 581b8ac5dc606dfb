"""Asking: the options that say who labels videos, and how these are embedded for texts."""

from collections.abc import Mapping
from typing import Any

import click

from framebank.commands.options import PATH, model_options, template_option, texts_option, together

asking_options = together(
    click.option("--run", type=PATH, help="Label with a trained run."),
    click.option("--index", type=PATH, help="Label by an index: its enrolled classes, and its votes."),
    click.option("--labels", type=PATH, help="Label by the texts of these classes."),
    click.option(
        "--like", type=PATH, help="With --labels: the encoder and frames of this store.  [those of --index, --run]"
    ),
    model_options,
    template_option,
    texts_option,
    click.option("--frames", default=16, type=click.IntRange(1), help="With --model: frames of each video."),
    click.option("-k", type=click.IntRange(1), help="With --index: how many neighbours vote.  [10, or all there are]"),
    click.option(
        "--sets",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        metavar="LEVEL",
        help="With --run: also the set of labels that holds the true one in this share of the videos, such as 0.9.",
    ),
    click.option("--sets-by-class", is_flag=True, help="With --sets: in this share of the videos of each class."),
    click.option(
        "--abstain-below",
        default=0.0,
        type=click.FloatRange(0, 1),
        metavar="P",
        help="With --run: what is less likely than this is unknown.",
    ),
    click.option(
        "--workers", type=click.IntRange(1), help="Processes that decode several videos.  [one for each core]"
    ),
)


def require_sources(given: Mapping[str, Any], *, prompts: bool = False) -> None:
    """Refuse options that ask nobody, or do not go together; with `prompts` there is --prompts too: wrong usage."""
    from framebank.library.asking.sources import clash
    from framebank.library.checks import as_option

    if told := clash(given, as_option, prompts=prompts):
        raise click.UsageError(told)
