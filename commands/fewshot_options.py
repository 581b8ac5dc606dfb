"""Options that the few-shot commands share: --shot, and --option of a matcher."""

from typing import Any

import click

from framebank.heads.fewshot.recipe import FewshotRecipe


def read_options(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """Read NAME=VALUE; wrong usage if a text has another form."""
    if not given:
        return {}
    from framebank.heads.options import parse_options
    from framebank.store import DataError

    try:
        return parse_options(given)
    except DataError as error:
        raise click.BadParameter(str(error)) from error


shot_option = click.option(
    "--shot",
    "--shots",
    "shot",
    default=FewshotRecipe.shot,
    type=click.IntRange(1),
    help="Support videos of each class.",
)
matcher_option = click.option(
    "--option",
    "options",
    multiple=True,
    callback=read_options,
    help="An option of the matcher: NAME=VALUE.",
)
