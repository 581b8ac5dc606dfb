"""Few-shot evaluation: recognise classes of a store from a few videos of each, in episodes, without training."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.heads.progress import Tell, tell_nobody
from framebank.library.checks import as_argument, typed
from framebank.library.episodes.plan import clash, plan_episodes, with_class_splits
from framebank.library.episodes.report import FewshotComparison, FewshotReport
from framebank.library.episodes.trained_matcher import TrainedMatcher
from framebank.library.stores import open_store
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.store import FeatureStore, LabelSet, Manifest, PromptBank


@typed
def fewshot(
    bank: "FeatureStore | str | Path",
    matchers: str | Sequence[str] = (),
    *,
    run: TrainedMatcher | str | Path | None = None,
    options: "dict[str, Any] | None" = None,
    shot: int = 1,
    way: int = 5,
    query: int | None = None,
    episodes: int | None = None,
    seed: int = 0,
    split: str = "test",
    class_splits: Sequence[str | Path] = (),
    support_split: str | None = None,
    support_list: str | Path | None = None,
    frames: int | None = None,
    frame_norm: bool = True,
    labels: "LabelSet | Sequence[str] | str | Path | None" = None,
    prompts: "PromptBank | str | Path | None" = None,
    templates: str | Sequence[str] | None = None,
    texts: str | None = None,
    device: str = "auto",
    watch: Watch = unwatched,
    tell: Tell = tell_nobody,
) -> FewshotReport:
    """Recognise classes of a store from a few videos of each, in episodes, without training.

    An episode draws `way` classes, with `shot` support videos and `query` (1) other videos to recognise of each class.
    With way 0, all classes take part, every video of the split is recognised, and the support videos are those of
    `support_split` ("train") or of `support_list`. `matchers` are names such as "otam" or "otam(smoothing=0.5)", or
    "all". The default is "otam", or the matcher of `run`, which `fb.fewshot_train` made. `options` are for a single
    matcher. `class_splits` are files that give each class its split. `frames` of the stored frames of each video are
    used, and 0 means all; without it, those that `run` was trained on, or all. The texts of the classes and the mean of
    the frames are also scored on the same episodes. DataError if episodes cannot be drawn, or if a matcher lacks its
    texts.

    >>> import framebank as fb
    >>> print(fb.fewshot("demo-out/store", ["otam", "mean"], episodes=100))                    # doctest: +SKIP
    """
    names = [matchers] if isinstance(matchers, str) else list(matchers)
    names = names or ([] if run else ["otam"])
    if options:
        if len(names) != 1 or names[0] == "all" or "(" in names[0]:
            raise DataError(f"options are for one matcher; {len(names)} are given, or it has options already")
        from framebank.heads.fewshot.matcher_name import MatcherName

        names = [str(MatcherName(names[0], tuple(options.items())))]
    plan = {
        "way": way,
        "query": query,
        "episodes": episodes,
        "seed": seed,
        "support_split": support_split,
        "support_list": support_list,
    }
    (report,) = evaluate_shots(
        open_store(bank),
        names,
        [shot],
        plan=plan,
        run=run,
        split=split,
        class_splits=class_splits,
        frames=frames,
        frame_norm=frame_norm,
        given={"labels": labels, "prompts": prompts, "templates": templates, "texts": texts},
        device=device,
        watch=watch,
        tell=tell,
    )
    return report


@typed
def fewshot_compare(
    bank: "FeatureStore | str | Path",
    folder: str | Path | None = None,
    *,
    matchers: str | Sequence[str] = "all",
    shots: Sequence[int] = (1, 5),
    way: int = 5,
    query: int | None = None,
    episodes: int | None = None,
    seed: int = 0,
    split: str = "test",
    class_splits: Sequence[str | Path] = (),
    support_split: str | None = None,
    support_list: str | Path | None = None,
    frames: int | None = None,
    frame_norm: bool = True,
    labels: "LabelSet | Sequence[str] | str | Path | None" = None,
    prompts: "PromptBank | str | Path | None" = None,
    templates: str | Sequence[str] | None = None,
    texts: str | None = None,
    device: str = "auto",
    watch: Watch = unwatched,
    tell: Tell = tell_nobody,
) -> FewshotComparison:
    """Compare matchers over several numbers of shots. `folder` gets results.json, results.csv and results.md.

    `matchers` and the rest are as in `fb.fewshot`. DataError also if the folder is not empty.

    >>> import framebank as fb
    >>> print(fb.fewshot_compare("demo-out/store", matchers=["mean", "otam"]))                 # doctest: +SKIP
    """
    plan = {
        "way": way,
        "query": query,
        "episodes": episodes,
        "seed": seed,
        "support_split": support_split,
        "support_list": support_list,
    }
    from contextlib import ExitStack

    from framebank.store.files.place import AT_WORK, owning
    from framebank.store.files.replacing import replacing_together

    path = Path(folder) if folder else None
    with ExitStack() as stack:
        if path:
            stack.enter_context(owning(path, what="comparison"))
            if any(each.name != AT_WORK for each in path.iterdir()):
                raise DataError(f"{path}: is not empty; expected a new folder for the comparison")
        reports = evaluate_shots(
            open_store(bank),
            [matchers] if isinstance(matchers, str) else list(matchers),
            list(shots),
            plan=plan,
            run=None,
            split=split,
            class_splits=class_splits,
            frames=frames,
            frame_norm=frame_norm,
            given={"labels": labels, "prompts": prompts, "templates": templates, "texts": texts},
            device=device,
            watch=watch,
            tell=tell,
        )
        found = FewshotComparison(tuple(reports), path)
        if path:
            with replacing_together(path) as part:
                values = [report.to_dict() for report in reports]
                (part / "results.json").write_text(json.dumps(values, indent=1), encoding="utf-8")
                (part / "results.csv").write_text(found.csv(), encoding="utf-8")
                (part / "results.md").write_text("\n".join(found.markdown()) + "\n", encoding="utf-8")
    return found


def evaluate_shots(
    store: "FeatureStore",
    matchers: Sequence[str],
    shots: Sequence[int],
    *,
    plan: dict[str, Any],
    run: TrainedMatcher | str | Path | None,
    split: str,
    class_splits: Sequence[str | Path],
    frames: int | None,
    frame_norm: bool,
    given: dict[str, Any],
    device: str,
    watch: Watch,
    tell: Tell,
) -> list[FewshotReport]:
    """Return a report for each number of shots. "all" is every matcher without training that has what it reads."""
    if told := clash(plan, as_argument):
        raise DataError(told)

    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.fewshot.drawn_episodes import DrawnEpisodes
    from framebank.heads.fewshot.episodes import EpisodeSampler
    from framebank.heads.fewshot.evaluate import evaluate_few_shot
    from framebank.heads.fewshot.matcher_name import MatcherName, reads_text, untrained_matchers

    for name in matchers:
        if name != "all":
            MatcherName.parse(name).build(8)  # reports a wrong name before anything is read
    trained = TrainedMatcher.open(run, device=device) if isinstance(run, str | Path) else run
    if trained:
        trained.run.spec.require_same_encoder(store.spec, mine=trained.path, theirs=store.path)
    manifest = store.manifest
    facts: dict[str, Any] = {}
    if class_splits:
        manifest, facts["class_split"] = with_class_splits(manifest, class_splits, where=store.path)
    split = manifest.split_named(split)
    try:
        plans = [plan_episodes(manifest, split, shot=shot, **plan) for shot in shots]
    except DataError as error:
        raise DataError(f"{store.path}: {error}") from error
    num_frames = (trained.run.recipe.frames if trained else 0) if frames is None else frames
    # Those of many shots are drawn too before the first ones are scored.
    drawn = [DrawnEpisodes.of(store, videos, sampler, num_frames=num_frames) for videos, sampler in plans]
    bank, missing = _texts(store, plans[0][0], given, device=device, watch=watch)
    everything = [name for name in untrained_matchers() if bank or not reads_text(name)]
    names = [name for asked in matchers for name in (everything if asked == "all" else [asked])]
    needing = [*names, *([trained.run.recipe.matcher] if trained else [])]
    lacking = next((name for name in needing if reads_text(name) and not bank), None)
    if lacking:
        raise DataError(f"{store.path}: the matcher {lacking!r} needs the texts of the classes, but {missing}")
    reports = []
    for number, ((_, sampler), own) in enumerate(zip(plans, drawn, strict=True), start=1):
        title = f"{sampler.shot}-shot ({number} of {len(plans)})" if len(plans) > 1 else None

        def watched(each: Sequence[str], title: str | None = title) -> Iterable[str]:
            return watch(each, total=len(each), unit="matcher", title=title)

        values = evaluate_few_shot(
            names,
            own,
            split=split if isinstance(sampler, EpisodeSampler) else f"{split} and support",
            prompts=bank,
            device=resolve_device(device),
            frame_norm=frame_norm,
            run=trained.run if trained else None,
            watch=watched,
            tell=tell,
            **facts,
        )
        reports.append(FewshotReport.of(values, texts_missing=missing))
    return reports


def _texts(
    store: "FeatureStore", manifest: "Manifest", given: dict[str, Any], *, device: str, watch: Watch
) -> "tuple[PromptBank | None, str]":
    """Return the prompts of the classes; or none, and why, if nobody asked for them and they are not available."""
    from framebank.library.texts import prompt_banks

    labels, prompts = given["labels"], given["prompts"]
    if not (labels or prompts) and all(re.fullmatch("(train|val|test)[0-9]+", name) for name in manifest.labels):
        return None, f"the classes have numbers for names ({manifest.labels[0]}); name them with labels (--labels)"
    kind = given["texts"] or (None if prompts else "names")
    try:
        found = prompt_banks(store, manifest, **{**given, "texts": kind}, device=device, watch=watch)
    except DataError as error:
        if any(given.values()):
            raise
        return None, str(error)
    return found[0], ""
