"""Status: compare a store with the files that it was made from, without embedding anything."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framebank.store.features import FeatureStore
from framebank.store.upkeep.drift import Drift
from framebank.store.upkeep.plan import Choices, Plan, plan_extraction
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.tars import is_tar


def store_status(folder: Path, sources: Sequence[Path] = ()) -> dict[str, Any]:
    """Return the changes of the files of a store in plain values; of all listed files if no sources are given.

    DataError as `plan_extraction`, and as `Manifest.read` for the sources.
    """
    store = FeatureStore(folder)
    given = Manifest.read(sources) if sources else store.manifest
    roots = tuple(path for path in sources if path.is_dir() or is_tar(path))
    plan = plan_extraction(folder, given, store.spec, Choices(roots=roots))
    odd = {*plan.drift.changed, *plan.drift.unsure, *plan.drift.gone, *plan.drift.unreadable}
    rows = set(store) - plan.drift.moved.keys() | set(plan.drift.moved.values())
    return {
        "store": str(folder),
        "videos": len(given),
        "same": len([video for video in given.videos if video.video_id in rows and video.video_id not in odd]),
        "new": len(plan.missing),
        "failed": len(plan.failed_before),
        **drift_report(plan),
    }


def drift_report(plan: Plan) -> dict[str, Any]:
    """Return the changes of the files, counted and by name: a part of the contract for scripts."""
    drift: Drift = plan.drift
    return {
        "changed": len(drift.changed),
        "moved": len(drift.moved),
        "gone": len(drift.gone),
        "pruned": len(plan.pruned),
        "drift": {
            "changed": list(drift.changed),
            "maybe_changed": list(drift.unsure),
            "moved": dict(drift.moved),
            "gone": list(drift.gone),
            "in_empty_folders": list(drift.in_empty_folders),
            "unreadable": list(drift.unreadable),
            "set_by_hand": [
                {"video_id": name, "column": column, "given": value} for (name, column), value in plan.by_hand.items()
            ],
        },
    }
