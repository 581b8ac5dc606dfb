"""Choices: the fields of a recipe with some of them replaced, by options of a command or by --set."""

from typing import Any

from framebank.store.errors import DataError
from framebank.store.formats.settings import read_value

OPTIONED = ("head", "classifier", "text")


def with_choices(values: dict[str, Any], choices: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a recipe with some of them replaced. A new head, classifier or text has no options yet.

    Epochs that are chosen are made as they are: the floor of steps falls away, unless it is chosen too.
    """
    if "epochs" in choices and not {"min_steps", "schedule"} & set(choices):
        choices = {"min_steps": 0, **choices}
    changed = [part for part in OPTIONED if part in values and choices.get(part, values[part]) != values[part]]
    return {**values, **{f"{part}_options": {} for part in changed}, **choices}


def with_settings(values: dict[str, Any], settings: dict[str, str]) -> dict[str, Any]:
    """Return the fields of a recipe with some keys and options set, as --set gives them.

    DataError if a value cannot be read, or for an option of a part that has none.
    """
    found = with_choices(
        values, {key: read_value(text, where=f"--set {key}") for key, text in settings.items() if "." not in key}
    )
    for key, text in settings.items():
        name, dot, option = key.partition(".")
        if dot and name not in OPTIONED:
            raise DataError(
                f"--set {key}: {name!r} has no options; expected one of {', '.join(OPTIONED)} before the dot"
            )
        if dot:
            found[f"{name}_options"] = {
                **found.get(f"{name}_options", {}),
                option: read_value(text, where=f"--set {key}"),
            }
    return found
