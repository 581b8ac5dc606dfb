"""The group of commands for a store, and the commands that show what is in one."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from framebank.commands.group import Group
from framebank.commands.options import PATH, json_option
from framebank.commands.printing import print_report


@click.group(cls=Group, short_help="Look at, check, repair, join and split stores.")
def store() -> None:
    """Look at stores, check and repair them, join and split them."""


@store.command(short_help="Print what a store holds and what made it.")
@click.argument("store", type=PATH)
@json_option
def info(store: Path, as_json: bool) -> None:
    """Print what STORE holds and what made it.

    \b
    framebank store info bank
    """
    from framebank.store import FeatureStore

    features = FeatureStore(store)
    failures = features.failures
    report = {
        "store": str(store),
        "videos": len(features),
        "listed": len(features.manifest),
        "rows": features.num_rows,
        "streams": list(features.streams),
        "splits": dict(sorted(features.manifest.split_sizes.items())),
        "labels": len(features.manifest.labels),
        "decoders": dict(Counter(features.decoders.values())),
        "spec": features.spec.to_dict(),
        "failed": len(failures),
        "failures": [{"video_id": failure.video_id, "reason": failure.reason} for failure in failures],
    }
    print_report(report, as_json=as_json, lines=_info_lines(report, features.spec.encoder_name))


def _info_lines(report: dict[str, Any], encoder: str) -> list[str]:
    spec = report["spec"]
    splits = ", ".join(f"{name or 'none'} {count}" for name, count in report["splits"].items())
    decoders = ", ".join(f"{name} {count}" for name, count in report["decoders"].items())
    lines = [
        f"videos     {report['videos']} of {report['listed']} listed, {report['failed']} failed",
        f"rows       {report['rows']} of {spec['dim']} values, streams: {', '.join(report['streams'])}",
        f"labels     {report['labels']}, splits: {splits}",
        f"encoder    {encoder}, weights {spec['weights_hash']}",
        f"frames     {spec['sampling']}, {spec['view']}, {spec['precision']}, preprocessing {spec['preprocessing']}",
        f"decoder    {spec['decoder']}: {decoders}",
    ]
    return lines + [f"failed     {failure['video_id']}: {failure['reason']}" for failure in report["failures"]]
