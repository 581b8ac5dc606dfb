"""The report at the end of a training: what was trained, on which videos, the loss, and the kept epoch's score."""

from collections.abc import Mapping, Sequence
from typing import Any

from framebank.library.table import percent
from framebank.store.counts import counted


def training_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the values of `TrainedRun.to_dict` as text."""
    from framebank.heads import HEADS

    kept = "the mean of the last epochs" if report["recipe"]["average"] else "the last epoch"
    of = f" of {report['epochs']}" if report.get("epochs") else ""
    judged = counted(report["val_videos"], "validation video")
    val = f"no validation videos: {kept} is kept"
    if report["val_score"] is not None:
        score = "mAP" if report["multi_label"] else "top-1"
        val = f"{score} on {judged} {percent(report['val_score'])} in epoch {report['epoch']}{of}, which is kept"
    mix = []
    if report["head_mix_score"] is not None:
        share = f"{100 * report['recipe']['head_mix']:.0f} % of the frames' mean (head_mix), chosen on those videos"
        mix = [f"{share}: {percent(report['head_mix_score'])}"]
    took = "" if report["seconds"] is None else f" in {report['seconds']:.1f} s"
    by = ", the head in bf16" if report["recipe"]["precision"] == "bf16" else ""
    none = val if report["seconds"] is None else "no epoch: nothing was trained by steps"
    if report["seconds"] is not None and HEADS[report["recipe"]["head"]].traits.learns:
        none += f", and the head {report['recipe']['head']} is as it was drawn"
    what = f"{report['recipe']['head']} + {report['recipe']['classifier']}"
    if report.get("members"):
        what = f"average of {', '.join(one['name'] for one in report['members'])}"
        none = "each was trained to its last epoch"
        if report["val_score"] is not None:
            none = f"top-1 on {judged} {percent(report['val_score'])}"
    return [
        f"{what} on "
        f"{counted(report['train_videos'], 'video')} of "
        f"{counted(report['classes'], 'class', 'classes')}{took}{by} -> {report['run']}",
        f"loss {report['loss']:.4f}, {val}" if report["loss"] is not None else none,
        *_steps_line(report.get("steps") or {}),
        *mix,
        *_fitted_line(report.get("fitted_with") or {}),
        *_probe_lines(report.get("probes") or ()),
    ]


def _fitted_line(options: Mapping[str, Any]) -> list[str]:
    """Return one line on the options that a classifier without steps took, none if it has none to choose."""
    told = ", ".join(f"{name} {_option(value)}" for name, value in options.items())
    return [f"fitted with {told}"] if told else []


def _steps_line(steps: Mapping[str, Any]) -> list[str]:
    """Return one line on the kind of steps that was kept, none if there was no choice."""
    if not steps:
        return []
    kind = "whitened steps" if steps["chosen"] == "whitened" else "AdamW's steps"
    return [f"{kind} were kept; {steps['why']}"]


def _option(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _probe_lines(probes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line on the probe that was kept, and one for each probe."""
    if not probes:
        return []
    best = min(probes, key=lambda one: (one["val_loss"], -one["epoch"]))
    longest = max(one.get("epochs", 0) for one in probes)
    kept = f"lr {best['lr']:g} and weight decay {best['weight_decay']:g}, of the lowest validation loss"
    return [
        f"the best of {counted(len(probes), 'probe')} is kept: {kept}",
        *[
            f"  lr {one['lr']:g}, weight decay {one['weight_decay']:g}: {percent(one['val_score'])}, loss "
            f"{one['val_loss']:.4f} in epoch {one['epoch']}"
            + (f", stopped after {one['epochs']}" if one.get("epochs", longest) < longest else "")
            for one in probes
        ],
    ]
