"""Commands of few-shot recognition: fewshot and fewshot-compare."""

import functools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.encoder_options import prompt_banks
from framebank.commands.fewshot_options import matcher_option, shot_option
from framebank.commands.fewshot_plan import plan_episodes, require_plan, with_class_splits
from framebank.commands.fewshot_report import cells, csv_text, episodes_line, markdown, row_name, spread_name
from framebank.commands.names import require_matcher
from framebank.commands.options import PATH, device_option, json_option, require_alone, text_options, together
from framebank.commands.printing import Bar, percent, print_report, table
from framebank.library.report import protocol_lines

if TYPE_CHECKING:
    from framebank.heads.fewshot.run import FewshotRun
    from framebank.store import FeatureStore, Manifest, PromptBank

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
        "--frames", default=0, type=click.IntRange(0), help="Use N of the stored frames of each video; 0 means all."
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
    chosen = matchers or (() if run_path else ("otam",))
    _require_names(chosen)
    if options:
        _require_single(chosen)
    if options:
        chosen = _with_options(chosen, options)
    report = _evaluate(store, chosen, [shot], run_path=run_path, **episodes)[0]
    rows = [(row_name(row), *cells(row)) for row in report["scores"]]
    lines = table(("matcher", "accuracy", spread_name(report), "seconds"), rows)
    hardest = sorted((value, name) for name, value in report["classes"].items() if value is not None)[:3]
    worst = ", ".join(f"{name} {percent(value)}" for value, name in hardest)
    facts = report["made_by"]
    told = [
        *lines,
        f"hardest classes of {report['matcher']}: {worst}",
        *([] if not report["texts_missing"] else [f"no texts   {report['texts_missing']}"]),
        *(f"note       {note}" for note in report["notes"]),
        *protocol_lines(facts),
        f"episodes   {episodes_line(facts)}, hash {facts['episodes_hash']}",
        *([f"run        trained on {facts['classes_trained_on']} of these classes"] if run_path else []),
    ]
    print_report(report, as_json=as_json, lines=told)


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
    from framebank.store import DataError
    from framebank.store.files.place import AT_WORK, owning
    from framebank.store.files.replacing import replacing_together

    numbers = [text.strip() for text in shots.split(",")]
    if not all(text.isdecimal() and int(text) for text in numbers):
        raise click.UsageError(f"--shots is {shots!r}; expected numbers such as 1,5")
    click.get_current_context().with_resource(owning(out, what="comparison"))
    if any(path.name != AT_WORK for path in out.iterdir()):
        raise DataError(f"{out}: is not empty; expected a new folder for the comparison")
    chosen = split_list(matchers)
    if not chosen:
        raise click.UsageError("--matchers is empty; expected names such as mean,otam")
    _require_names(chosen)
    reports = _evaluate(store, chosen, [int(text) for text in numbers], **options)
    rows = [
        {"shot": report["made_by"]["shot"], **{name: row[name] for name in row if name != "classes"}}
        for report in reports
        for row in report["scores"]
    ]
    lines = markdown(reports)
    with replacing_together(out) as part:
        (part / "results.json").write_text(json.dumps(reports, indent=1), encoding="utf-8")
        (part / "results.csv").write_text(csv_text(rows), encoding="utf-8")
        (part / "results.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print_report({"out": str(out), "scores": rows}, as_json=as_json, lines=[*lines, "", f"written to {out}"])


def _require_names(matchers: Sequence[str]) -> None:
    for name in matchers:
        if name != "all":
            require_matcher(name)


def _require_single(matchers: Sequence[str]) -> None:
    if len(matchers) != 1 or matchers[0] == "all" or "(" in matchers[0]:
        raise click.UsageError('--option is for one --matcher; for several, write each as in "otam(smoothing=0.5)"')


def _with_options(matchers: Sequence[str], options: dict[str, Any]) -> tuple[str]:
    """The only matcher, with the options that --option gives it."""
    from framebank.heads.fewshot.matcher_name import MatcherName

    return (str(MatcherName(matchers[0], tuple(options.items()))),)


def _evaluate(
    path: Path,
    matchers: Sequence[str],
    shots: Sequence[int],
    *,
    split: str,
    class_splits: tuple[Path, ...],
    frames: int,
    frame_norm: bool,
    device: str,
    labels: Path | None,
    prompts: Path | None,
    templates: str | None,
    texts: str | None,
    run_path: Path | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """One report for each number of shots; "all" means every matcher without training that has what it reads."""
    require_plan(**options)
    require_alone(prompts, labels=labels, templates=templates, texts=texts)

    from framebank.extract.encoders.encoder import resolve_device
    from framebank.heads.fewshot.episodes import EpisodeSampler
    from framebank.heads.fewshot.evaluate import evaluate_few_shot
    from framebank.heads.fewshot.matcher_name import MatcherName, reads_text, untrained_matchers
    from framebank.store import DataError, FeatureStore

    for name in matchers:
        if name != "all":
            MatcherName.parse(name).build(8)  # reports a wrong name before anything is read
    store = FeatureStore(path)
    run = _trained(run_path, store) if run_path else None
    manifest = store.manifest
    facts: dict[str, Any] = {}
    if class_splits:
        manifest, facts["class_split"] = with_class_splits(manifest, class_splits, where=path)
    try:
        plans = [plan_episodes(manifest, split, shot=shot, **options) for shot in shots]
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    bank, missing = _texts(
        store, plans[0][0], labels=labels, prompts=prompts, templates=templates, texts=texts, device=device
    )
    everything = [name for name in untrained_matchers() if bank or not reads_text(name)]
    names = [name for given in matchers for name in (everything if given == "all" else [given])]
    needing = [*names, *([run.recipe.matcher] if run else [])]
    lacking = next((name for name in needing if reads_text(name) and not bank), None)
    if lacking:
        raise DataError(f"{path}: the matcher {lacking!r} needs the texts of the classes, but {missing}")
    reports = []
    for number, (videos, sampler) in enumerate(plans, start=1):
        title = f"{sampler.shot}-shot ({number} of {len(plans)})" if len(plans) > 1 else None
        with Bar(unit="query", title=title) as bar:
            report = evaluate_few_shot(
                names,
                store,
                videos,
                sampler,
                split=split if isinstance(sampler, EpisodeSampler) else f"{split} and support",
                prompts=bank,
                device=resolve_device(device),
                num_frames=frames or (run.recipe.frames if run else 0),
                frame_norm=frame_norm,
                run=run,
                watch=functools.partial(_shown, bar),
                tell=bar.move,
                **facts,
            )
        reports.append({**report, "texts_missing": missing})
    return reports


def _shown(bar: Bar, matchers: Sequence[str]) -> Iterator[str]:
    """Yield the names of the matchers, and show each beside the bar."""
    for number, name in enumerate(matchers, start=1):
        bar.show(matcher=f"{name} ({number} of {len(matchers)})")
        yield name


def _trained(path: Path, store: "FeatureStore") -> "FewshotRun":
    from framebank.heads.fewshot.run import FewshotRun

    run = FewshotRun.read(path)
    run.spec.require_same_encoder(store.spec, mine=path, theirs=store.path)
    return run


def _texts(
    store: "FeatureStore",
    manifest: "Manifest",
    *,
    labels: Path | None,
    prompts: Path | None,
    templates: str | None,
    texts: str | None,
    device: str,
) -> "tuple[PromptBank | None, str]":
    """The prompts of the classes; or none, and why, if no option asks for them and they cannot be made."""
    from framebank.store import DataError

    if not (labels or prompts) and all(re.fullmatch("(train|val|test)[0-9]+", name) for name in manifest.labels):
        return None, f"the classes have numbers for names ({manifest.labels[0]}); name them with --labels"
    kind = texts or (None if prompts else "names")
    try:
        found = prompt_banks(
            store, manifest, labels=labels, prompts=prompts, templates=templates, texts=kind, device=device
        )
    except DataError as error:
        if labels or prompts or templates or texts:
            raise
        return None, str(error)
    return found[0], ""
