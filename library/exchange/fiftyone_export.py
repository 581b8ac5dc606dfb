"""FiftyOne: the videos of a store with their labels, what a run says of them, and spans, as a dataset of FiftyOne."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.checks import typed
from framebank.library.exchange.exported_store import ExportedStore
from framebank.library.stores import open_store
from framebank.library.trained_run import TrainedRun
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.heads.labelling.table import Labelled
    from framebank.store import FeatureStore, Span, Video

FRAMES = "frames.json"  # what the layout asks for of each video: labels of its frames, of which there are none
TRUE, SAID, SPANS = "ground_truth", "predictions", "spans"


@typed
def export_fiftyone(
    bank: "FeatureStore | str | Path",
    out: str | Path,
    *,
    split: str = "all",
    run: "TrainedRun | str | Path | None" = None,
    spans: str | Path | None = None,
    watch: Watch = unwatched,
) -> ExportedStore:
    """Write the videos of a store as a dataset that FiftyOne imports (`fiftyone.types.FiftyOneDataset`).

    Each whole video is one sample, by the absolute path of its file; no file is copied. Its label is `ground_truth`,
    what `run` says of it `predictions`, with confidences: a Classification, or Classifications where videos have
    several labels. The videos that are parts of a file, in one sample, and the rows of a file of `spans` (`shots`,
    `search --moments --csv`), are TemporalDetections: `ground_truth_parts`, `predictions_parts` and `spans`. Their
    frames are counted by the times of the stored rows. `out` is a new folder. DataError if it is there already, if
    `run` knows another encoder, or if a span is of a video that the store does not hold.

        import fiftyone as fo
        dataset = fo.Dataset.from_dir(dataset_dir="out", dataset_type=fo.types.FiftyOneDataset)
    """
    from framebank.store.files.place import making, new_folder
    from framebank.store.files.replacing import refuse_inside
    from framebank.store.spans.files import read_spans

    store, place = open_store(bank), Path(out)
    refuse_inside(place, [store.path], what="export")
    videos = [video for video in store.split(split).videos if video.video_id in store]
    if not videos:
        raise DataError(
            f"{store.path}: holds no embedding of the {counted(len(store.split(split)), 'video')} asked for"
        )
    found = read_spans(spans) if spans else ()
    _require_known(found, {video.video_id for video in videos}, where=spans)
    with making(place, what="export"):
        said: dict[str, Labelled] = {}
        if run:
            opened = run if isinstance(run, TrainedRun) else TrainedRun.open(run)
            said = {one.video.video_id: one for one in opened.predict(store, split)}
        watched = watch(videos, total=len(videos), unit="video")
        samples = _samples(store, watched, said, found, several=_any_several(videos, said))
        with new_folder(place) as part:
            metadata = {"media_type": "video", "info": {"store": str(store.path.absolute()), "made_by": "framebank"}}
            (part / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
            (part / "samples.json").write_text(json.dumps({"samples": samples}, indent=1), encoding="utf-8")
            (part / FRAMES).write_text(json.dumps({"frames": {}}), encoding="utf-8")
    missing = len(store.split(split)) - len(videos)
    return ExportedStore(place, "fiftyone", "labels", len(videos), missing, ())


def _require_known(spans: Sequence["Span"], known: set[str], *, where: object) -> None:
    odd = next((span.video_id for span in spans if span.video_id not in known), None)
    if odd is not None:
        raise DataError(f"{where}: has a span of {odd!r}; expected video_ids of the videos that are exported")


def _samples(
    store: "FeatureStore",
    videos: Iterable["Video"],
    said: Mapping[str, "Labelled"],
    spans: Sequence["Span"],
    *,
    several: bool,
) -> list[dict[str, Any]]:
    """One sample for each whole video, and one for the parts of a file that has none.

    The parts of a file are in the sample of its first whole video. `several` is the type of the labels of all samples.
    """
    spans_of: dict[str, list[Span]] = {}
    for span in spans:
        spans_of.setdefault(span.video_id, []).append(span)
    videos = list(videos)
    wholes = {str(video.path.absolute()): video.video_id for video in reversed(videos) if _is_whole(video)}
    samples: dict[tuple[str, str], dict[str, Any]] = {}
    for video in videos:
        path = str(video.path.absolute())
        owner = video.video_id if _is_whole(video) else wholes.get(path, "")
        sample = samples.setdefault(
            (path, owner), {"filepath": path, "tags": [], "video_id": owner or video.video_id, "frames": FRAMES}
        )
        if video.split and video.split not in sample["tags"]:
            sample["tags"].append(video.split)
        answer = said.get(video.video_id)
        for name, labels in ((TRUE, [(one, None) for one in video.labels]), (SAID, _given(answer))):
            if not labels:
                continue
            if _is_whole(video):
                sample[name] = _classified(labels, several=several)
            else:
                _detect(sample, f"{name}_parts", _temporal(store, video, labels))
        own = spans_of.get(video.video_id)
        if own:
            rate = _frame_rate(store, video)
            each = [_support(span.start, span.end, rate) | _named(span.label, span.score) for span in own]
            _detect(sample, SPANS, each)
    return list(samples.values())


def _is_whole(video: "Video") -> bool:
    return video.start is None and video.end is None


def _given(answer: "Labelled | None") -> list[tuple[str, float | None]]:
    """The labels that a run gives a video: the likeliest, or all above their thresholds; none if it is unknown."""
    if answer is None or not answer.by:
        return []
    return list(answer.top(len(answer.answers[0].labels) or 1))


def _any_several(videos: Iterable["Video"], said: Mapping[str, "Labelled"]) -> bool:
    """Whether a video has several labels, or may be given several. A field of a dataset has one type."""
    return any(len(video.labels) > 1 for video in videos) or any(one.answers[0].labels for one in said.values())


def _classified(labels: Sequence[tuple[str, float | None]], *, several: bool) -> dict[str, Any]:
    each = [{"_cls": "Classification", **_named(*one)} for one in labels]
    return {"_cls": "Classifications", "classifications": each} if several else each[0]


def _named(label: str, confidence: float | None) -> dict[str, Any]:
    return {"label": label, **({} if confidence is None else {"confidence": float(confidence)})}


def _detect(sample: dict[str, Any], name: str, detections: list[dict[str, Any]]) -> None:
    held = sample.setdefault(name, {"_cls": "TemporalDetections", "detections": []})
    held["detections"] += detections


def _temporal(
    store: "FeatureStore", video: "Video", labels: Sequence[tuple[str, float | None]]
) -> list[dict[str, Any]]:
    """A video that is a part of a file, once for each of its labels."""
    start = video.start or 0.0
    end = float(store[video.video_id].timestamps.max()) if video.end is None else video.end
    place = _support(start, max(start, end), _frame_rate(store, video))
    return [place | _named(*one) for one in labels]


def _support(start: float, end: float, rate: float) -> dict[str, Any]:
    """The first and the last frame of a stretch of seconds; the first frame of a file is 1."""
    first = 1 + round(start * rate)
    return {"_cls": "TemporalDetection", "support": [first, max(first, round(end * rate))]}


def _frame_rate(store: "FeatureStore", video: "Video") -> float:
    """Frames a second, by the rows that are farthest apart; DataError if all rows have one time."""
    rows = store[video.video_id]
    first, last = rows.timestamps.argmin(), rows.timestamps.argmax()
    seconds = float(rows.timestamps[last] - rows.timestamps[first])
    if seconds <= 0:
        raise DataError(
            f"{store.path}: {video.video_id!r} has rows of one time only, which do not say how many frames a second "
            "has; expected two frames or more for a part of a video"
        )
    return float(rows.indices[last] - rows.indices[first]) / seconds
