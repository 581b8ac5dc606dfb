"""The command label: what a trained run, texts, enrolled classes and the neighbours in an index say of a video."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.asking import Asking, asking_options, sources_of
from framebank.commands.options import PATH, device_option, json_option, required
from framebank.commands.printing import print_report, progress
from framebank.library.labelling import find_videos, label_videos

if TYPE_CHECKING:
    from framebank.heads.labelling.answers import Answer
    from framebank.heads.labelling.calibrate import ThresholdSource
    from framebank.heads.labelling.table import Labelled


@click.command(short_help="Label new videos by a run, an index or texts.")
@click.argument("videos", nargs=-1, required=True, type=PATH)
@asking_options
@click.option("--top", default=3, type=click.IntRange(1), help="How many labels each gives a video.")
@device_option
@json_option
def label(videos: tuple[Path, ...], workers: int | None, as_json: bool, **asking: Any) -> None:
    """Label VIDEOS: by a trained run, by the nearest videos of an index, by its enrolled classes, by texts.

    VIDEOS are files, folders of videos, or folders of frames. `predict` writes a table instead, also of a whole store.

    The first line of a video is the answer; the others tell what everyone who was asked says, and how sure they are. An
    enrolled class comes first where the video passes its threshold, then --run, then --labels, then the votes of the
    index. Where classes are enrolled, or the index is calibrated, votes pass only when the nearest video is near
    enough. Where both pass, the rarer match counts: an enrolled class yields if more videos of other classes are as
    near to it as to the nearest video. Where nothing passes, the answer is "unknown". "unsure" is said where the first
    label is hardly likelier than the second, or than guessing.

    \b
    framebank label clip.mp4 --run run
    framebank label *.mp4 --index index
    framebank label clip.mp4 --index index --labels classes.txt
    framebank label clip.mp4 --labels classes.txt --model ViT-B-16 --pretrained openai
    """
    asked = Asking(**asking, knows_itself=True)
    if asked.labels and not (asked.like or asked.model or asked.run_path or asked.index_path):
        required(asked.model, "--like or --model")

    from framebank.store.ledger import Failure

    sources = sources_of(asked)
    found = list(label_videos(find_videos(videos), sources, workers=workers, watch=progress))
    told = [one for one in found if not isinstance(one, Failure)]
    failures = [one.reason for one in found if isinstance(one, Failure)]
    judged = any(answer.threshold is not None for one in told for answer in one.answers)
    thresholds = next((source.thresholds for source in sources if source.thresholds and judged), None)
    encoder = sources[0].encoder
    assert encoder
    report = {
        "videos": [_report(one, top=asked.top) for one in told],
        "failed": failures,
        "made_by": {
            "encoder": encoder.spec.encoder,
            "sampling": sources[0].spec.sampling,
            "by": ", ".join(map(str, asked.asked)),
            "thresholds": asdict(thresholds) if thresholds else None,
        },
    }
    if told or as_json:
        lines = [*_lines(told, top=asked.top), *_threshold_lines(thresholds)]
        print_report(report, as_json=as_json, lines=lines)
    for failure in failures:
        click.echo(f"Error: {failure}", err=True)
    if failures:
        sys.exit(1)


def _report(one: "Labelled", *, top: int) -> dict[str, Any]:
    from framebank.heads.labelling.answers import MEASURES

    return {
        "video": str(one.video.path),
        "label": one.label,
        "by": one.by,
        "unsure": one.unsure,
        **({} if one.label_set is None else {"set": list(one.label_set)}),
        "labels": [
            {"label": name, "score": score, "by": answer.by, "measure": MEASURES[answer.by]}
            for answer in one.answers
            for name, score in answer.ranked[:top]
        ],
        "answers": [
            {
                "by": answer.by,
                "passes": answer.passes,
                "unsure": answer.unsure,
                "similarity": answer.similarity,
                "threshold": answer.threshold,
                "share": answer.share,
            }
            for answer in one.answers
        ],
    }


def _lines(told: "Sequence[Labelled]", *, top: int) -> list[str]:
    """A line for each video and its label; below it what each who was asked says, the one who answers first."""
    from framebank.heads.labelling.answers import MEASURES
    from framebank.heads.labelling.certainty import decimals

    lines = []
    for one in told:
        lines.append(f"{one.video.path}: {one.label}")
        for answer in one.answers:
            ranked = answer.ranked[:top]
            places = decimals([score for _, score in ranked])
            shown = ", ".join(f"{name} {score:.{places}f}" for name, score in ranked) or "no label"
            lines += [f"  {answer.by}: {shown} ({MEASURES[answer.by]})", *_verdict(answer)]
            if answer.label_set is not None:
                lines.append(f"    set: {', '.join(answer.label_set) or 'empty, no class is likely enough'}")
    return lines


def _threshold_lines(thresholds: "ThresholdSource | None") -> list[str]:
    if thresholds is None:
        return []
    return [
        f"thresholds are set by {thresholds}: {100 * thresholds.share:g} % of the videos of other classes may pass each"
    ]


def _verdict(answer: "Answer") -> list[str]:
    """Whether an answer passes and why, where something can be told of it, and why it is unsure."""
    unsure = [f"    unsure: {answer.doubt}"] if answer.doubt else []
    if answer.similarity is None:
        return unsure
    verdict, against = "passes" if answer.passes else "does not pass", "no threshold"
    if answer.threshold is not None:
        against = f"threshold {answer.threshold:.3f}, {100 * (answer.share or 0.0):.2f} % of others come as near"
        if not answer.passes and answer.similarity > answer.threshold:
            verdict = "yields to the neighbours"
    return [f"    {verdict}: cosine {answer.similarity:.3f}, {against}", *unsure]
