"""Commands of few-shot recognition: fewshot and fewshot-compare."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from framebank.commands.fewshot_options import matcher_option, shot_option
from framebank.commands.names import require_matcher
from framebank.commands.options import PATH, device_option, json_option, require_alone, text_options, together
from framebank.commands.printing import BarOfParts, print_report

episode_options = together(
    click.option("--way", default=5, type=click.IntRange(0), help="Classes of an episode; 0 means all."),
    click.option("--query", type=click.IntRange(1), help="Queries of each class.  [1; with --way 0: all videos]"),
    click.option("--episodes", type=click.IntRange(1), help="How many episodes are drawn.  [10000; with --way 0: 3]"),
    click.option("--seed", default=0, type=click.IntRange(0), help="The seed that decides which episodes are drawn."),
    click.option(
        "--split", default="test", help="The split to recognise, or all; with --class-split a split of the classes."
    ),
    click.option(
        "--class-split",
        "class_splits",
        multiple=True,
        type=PATH,
        help="The split of each class: JSON, CSV, or official few-shot lists or their folder.",
    ),
    click.option("--support-split", help="With --way 0: where the support videos are drawn.  [train]"),
    click.option("--support-list", type=PATH, help="With --way 0: a list of K videos of each class instead."),
    click.option(
        "--frames",
        type=click.IntRange(0),
        help="Use N of the stored frames of each video; 0 means all.  [all; of a trained matcher: as in its training]",
    ),
    click.option("--frame-norm/--no-frame-norm", default=True, help="First scale each frame's embedding to length 1."),
    text_options,
    device_option,
)


@click.command(short_help="Recognise new classes by a few videos of each.")
@click.argument("store", type=PATH)
@click.option(
    "--matcher",
    "matchers",
    multiple=True,
    help="mean, max, diagonal, otam, bi-mhm, chamfer, chamfer++, tuple, text, combine, combine:NAME, ridge, "
    "linear-probe, tip-adapter, text-residual, or all; repeatable.  [otam; with --run: none]",
)
@click.option("--run", "run_path", type=PATH, help="A matcher that `framebank fewshot-train` has trained.")
@matcher_option
@shot_option
@episode_options
@json_option
def fewshot(
    store: Path,
    matchers: tuple[str, ...],
    run_path: Path | None,
    options: dict[str, Any],
    shot: int,
    as_json: bool,
    **episodes: Any,
) -> None:
    """Recognise new classes of STORE by a few videos of each, in episodes, without training.

    An episode draws --way classes and, for each class, --shot support videos and --query other videos to recognise. A
    matcher compares the videos; docs/methods.md describes the matchers. Two baselines are scored on the same episodes:
    the texts of the classes, and the mean of the frames. combine:NAME multiplies the scores of the texts and of the
    matcher NAME. A matcher can have options, as in "otam(smoothing=0.5)"; if there is only one matcher, --option does
    the same.

    \b
    framebank fewshot bank --matcher otam --shot 5
    framebank fewshot bank --matcher otam --option smoothing=0.5
    framebank fewshot bank --matcher all --class-split lists/ssv2_full
    framebank fewshot bank --way 0 --shot 4 --matcher mean
    framebank fewshot bank --run run --class-split lists/ssv2_full
    """
    require_plan(episodes)
    _require_names(matchers)
    if options and (len(matchers) > 1 or "all" in matchers or any("(" in name for name in matchers) or run_path):
        raise click.UsageError('--option is for one --matcher; of several, write each as in "otam(smoothing=0.5)"')
    from framebank.library.episodes.evaluation import fewshot as evaluate

    bar = _bar()
    report = evaluate(
        store, matchers, run=run_path, options=options, shot=shot, **episodes, watch=bar.watch, tell=bar.tell
    )
    print_report(report.to_dict(), as_json=as_json, lines=report.lines())


@click.command(name="fewshot-compare", short_help="Compare matchers over several numbers of shots.")
@click.argument("store", type=PATH)
@click.argument("out", type=PATH)
@click.option("--matchers", default="all", help="Matchers with commas between them: mean,otam(smoothing=0.5); or all.")
@click.option(
    "--shots",
    "--shot",
    "shots",
    default="1,5",
    help="Numbers of support videos of each class, with commas between them.",
)
@episode_options
@json_option
def fewshot_compare(store: Path, out: Path, matchers: str, shots: str, as_json: bool, **options: Any) -> None:
    """Compare matchers on STORE over several numbers of shots; write results.json, .csv and .md into OUT.

    \b
    framebank fewshot-compare bank table --matchers mean,otam,chamfer++ --shots 1,5
    framebank fewshot-compare bank table --matchers "otam(smoothing=0.1),otam(smoothing=0.5)"
    """
    from framebank.heads.options import split_list

    numbers = [text.strip() for text in shots.split(",")]
    if not all(text.isdecimal() and int(text) for text in numbers):
        raise click.UsageError(f"--shots is {shots!r}; expected numbers such as 1,5")
    chosen = split_list(matchers)
    if not chosen:
        raise click.UsageError("--matchers is empty; expected names such as mean,otam")
    require_plan(options)
    _require_names(chosen)
    from framebank.library.episodes.evaluation import fewshot_compare as compare

    bar = _bar()
    found = compare(
        store, out, matchers=chosen, shots=list(map(int, numbers)), **options, watch=bar.watch, tell=bar.tell
    )
    print_report(found.to_dict(), as_json=as_json, lines=found.lines())


def require_plan(given: Mapping[str, Any]) -> None:
    """Refuse options that exclude each other: wrong usage."""
    from framebank.library.checks import as_option
    from framebank.library.episodes.plan import clash

    if told := clash(given, as_option):
        raise click.UsageError(told)
    require_alone(given["prompts"], labels=given["labels"], templates=given["templates"], texts=given["texts"])


def _require_names(matchers: Sequence[str]) -> None:
    for name in matchers:
        if name != "all":
            require_matcher(name)


def _bar() -> BarOfParts:
    """A bar of the queries of all matchers, with the matcher that is scored."""
    return BarOfParts(
        per="matcher", unit="query", facts=lambda name, number, total: {"matcher": f"{name} ({number} of {total})"}
    )
