"""Options that several commands share."""

import errno
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from framebank.heads.training.recipe import Recipe

Command = TypeVar("Command", bound=Callable[..., Any])

MAX_NAME, MAX_PATH = 255, 4095  # bytes that a file system takes


class FilePath(click.Path):
    """A path whose names fit a file system: no file can be read or written at a longer one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; BadParameter if it is empty, as of a variable that is not set.

        DataError if a name in it is too long, or if it is a link that leads to itself.
        """
        if not os.fspath(value):
            self.fail("is empty; expected a path", param, ctx)
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        longest = max((len(os.fsencode(name)) for name in path.parts), default=0)
        if longest > MAX_NAME or len(os.fsencode(path)) > MAX_PATH:
            from framebank.store.errors import DataError  # here, so that --help loads neither h5py nor numpy

            raise DataError(
                f"{str(path)[:60]}...: has a name of {longest} bytes, and {len(os.fsencode(path))} in all; expected "
                f"{MAX_NAME} and {MAX_PATH} at most"
            )
        if _is_circle(path):
            from framebank.store.errors import DataError

            raise DataError(f"{path}: is a link that leads to itself; expected a path that leads somewhere")
        return path


def _is_circle(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:  # such as one that is not there, which is said by whoever needs it
        return error.errno == errno.ELOOP
    return False


PATH = FilePath(path_type=Path)

# For options that take key=value.
EXAMPLES = {"--set": "lr=1e-3", "--where": "label=run (results: protocol=ucf101)"}


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
    click.option("--model", help="open_clip's ViT-B-16-SigLIP2 or PE-Core-B-16, timm:NAME, hf:FOLDER, or demo."),
    click.option(
        "--pretrained", help="A tag of the model, such as webli, a checkpoint file, or none for random weights."
    ),
)
encoder_options = together(
    device_option,
    click.option("--precision", default="auto", help="auto, fp32, bf16 or fp16."),
)
sampling_options = together(
    click.option("--frames", type=click.IntRange(1), help="Frames of each video: the centres of equal segments.  [16]"),
    click.option("--clips", type=click.IntRange(1), help="Number of clips, with --frames each."),
    click.option("--fps", type=click.FloatRange(0, min_open=True), help="Frames for each second, instead of --frames."),
    click.option("--stride", type=click.IntRange(1), help="Take every N-th frame, instead of --frames."),
    click.option("--every-frame", is_flag=True, help="Take all frames, instead of --frames."),
)
template_option = click.option(
    "--templates",
    help="actionclip, clip-kinetics, clip-ucf101, bare, or a file of templates.  [actionclip; descriptions: bare]",
)
texts_option = click.option(
    "--texts", type=click.Choice(["names", "descriptions"]), help=f"The texts of a class.  [{Recipe.texts}]"
)
labels_option = click.option(
    "--labels", type=PATH, help="Class names, one for each line, or JSON of name to descriptions.  [the store's labels]"
)
prompts_option = click.option(
    "--prompts", type=PATH, help="Class embeddings made by `framebank prompts`, instead of --labels."
)
lexicon_option = click.option(
    "--lexicon", type=PATH, help="Phrases for --classifier attributes: a file made by `framebank prompts`."
)
text_options = together(labels_option, prompts_option, template_option, texts_option)
scoring_option = click.option(
    "--scoring",
    type=click.Choice(["probabilities", "embeddings"]),
    default=Recipe.scoring,
    help="Average the templates' probabilities (ActionCLIP) or their embeddings (CLIP).",
)


def required(value: str | None, option: str) -> str:
    """Return the value of an option that has no default; wrong usage if it was not given."""
    if not value:
        raise click.UsageError(f"{option} is required; a good start is --model PE-Core-B-16 --pretrained meta")
    return value


def require_alone(prompts: Path | None, *, labels: object, templates: object, texts: object) -> None:
    """Refuse --prompts together with options that would make other prompts: wrong usage."""
    if prompts and (labels or templates or texts):
        raise click.UsageError("--prompts holds its own classes, templates and texts; give it alone")


def sampling_spec(
    *, frames: int | None, clips: int | None, fps: float | None, stride: int | None, every_frame: bool
) -> str:
    """Return the sampling of these options; wrong usage if two of them exclude each other."""
    ways = {"--frames": frames or clips, "--fps": fps, "--stride": stride, "--every-frame": every_frame or None}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"{given[0]} and {given[1]} exclude each other")
    if fps is not None:
        return f"fps:{fps:g}"
    if stride is not None:
        return f"stride:{stride}"
    if every_frame:
        return "every"
    return f"clips:{clips}x{frames or 16}" if clips else f"segments:{frames or 16}"


def pairs(texts: tuple[str, ...], *, option: str = "--set") -> dict[str, str]:
    """Return the keys and values of "key=value" texts; wrong usage if one has another form."""
    from framebank.store.errors import DataError
    from framebank.store.formats.settings import read_pairs

    try:
        return read_pairs(texts, what=option, expected=f"key=value, such as {EXAMPLES[option]}")
    except DataError as error:
        raise click.UsageError(str(error)) from error


def require_once(settings: Mapping[str, str], options: Mapping[str, object]) -> None:
    """Refuse a key of --set that an option gives too: wrong usage. `options` holds what was given, or None."""
    for key, value in settings.items():
        if options.get(key) is not None:
            flag = f"--{key.replace('_', '-')}"
            raise click.UsageError(f"{flag} is {options[key]!r} and --set {key} is {value!r}; give one of them")


def read_shard(text: str) -> tuple[int, int]:
    """Return the numbers of "2/4"; wrong usage if the text has another form."""
    number, mark, count = text.partition("/")
    if not (mark and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise click.UsageError(f"--shard is {text!r}; expected i/n with i from 1 to n, such as 2/4")
    return int(number), int(count)


def device_names(devices: str | None) -> tuple[str, ...]:
    """Return the devices of a list such as "0,1"; none if there is no list."""
    names = [name.strip() for name in (devices or "").split(",") if name.strip()]
    return tuple(f"cuda:{name}" if name.isdecimal() else name for name in names)
