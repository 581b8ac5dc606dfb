"""Folders of videos: files, folders of frames, or tars, at any depth."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shlex import quote

from framebank.store.errors import DataError, warn
from framebank.store.files.replacing import current_paths
from framebank.store.files.walk import walk_folder
from framebank.store.videos.intake import BESIDE, Intake, by_reason, joined, suffix_reason, told_of_videos
from framebank.store.videos.spelling import ids_of_files, nfc
from framebank.store.videos.split_folders import splits_and_labels
from framebank.store.videos.tars import is_tar, read_tars
from framebank.store.videos.video import IMAGE_SUFFIXES, LABEL_SEPARATOR, RATE_NAME, VIDEO_SUFFIXES, Video

# Says whether the content of a file, or of a member of a tar (tar joined with its name), is a video.
IsVideo = Callable[[Path], bool]


def videos_in_folder(folder: Path, *, is_video: IsVideo | None = None) -> Intake:
    """Return the videos below a folder: its video files, its leaf folders of images, or the members of its tars.

    The label is the folder a video lies in; a first folder named train, val or test may be its split
    (`splits_and_labels`). A folder that itself holds the frames is one video without a label. Images beside videos are
    not frames. With `is_video`, files with an unknown suffix are videos if it says so. DataError if there is no video,
    where there are videos of more than one kind, and for a folder that cannot be read.
    """
    walk = walk_folder(folder)
    videos = [path for path in walk.files if path.suffix.lower() in VIDEO_SUFFIXES]
    tars = [path for path in walk.files if is_tar(path)]
    images = [path for path in walk.files if path.suffix.lower() in IMAGE_SUFFIXES]
    known = {*videos, *tars, *images}
    others = [path for path in walk.files if path not in known]
    if is_video:
        found = {path for path in others if path.name != RATE_NAME and is_video(path)}
        videos = sorted({*videos, *found})
        others = [path for path in others if path not in found]
    frames = _frame_folders(images, videos)
    _require_one_kind(folder, {"video file": videos, "tar": tars, "folder of frames": frames}, walk.not_taken, others)
    if frames:
        rates = {path / RATE_NAME for path in frames}
        left = joined(
            [walk.not_taken, by_reason((suffix_reason(path.name), path) for path in others if path not in rates)]
        )
        return Intake(_videos(folder, frames, are_files=False), left)
    beside = by_reason([(suffix_reason(path.name), path) for path in others] + [(BESIDE, path) for path in images])
    if tars:
        intake = read_tars(tars, is_video=is_video)
        return Intake(intake.videos, joined([walk.not_taken, beside, intake.not_taken]))
    return Intake(_videos(folder, videos, are_files=True), joined([walk.not_taken, beside]))


def _require_one_kind(
    folder: Path,
    kinds: Mapping[str, Sequence[Path]],
    not_taken: Mapping[str, tuple[Path, ...]],
    others: Sequence[Path],
) -> None:
    there = [(kind, paths[0]) for kind, paths in kinds.items() if paths]
    if not there:
        if current_paths(folder, "shard-*.h5"):
            raise DataError(
                f"{folder}: is a store, not a folder of videos; `framebank predict {quote(str(folder))}` labels "
                "the videos of a store"
            )
        left = told_of_videos(joined([not_taken, by_reason((suffix_reason(path.name), path) for path in others)]))
        raise DataError(
            f"{folder}: holds no video file; expected a folder of class folders of videos or of folders of frames, "
            f"or a folder of tars{f' ({left})' if left else ''}"
        )
    if len(there) > 1:
        (one, a), (other, b) = there[:2]
        raise DataError(f"{folder}: holds the {one} {a} and the {other} {b}; expected videos of one kind")


def _frame_folders(images: Sequence[Path], videos: Sequence[Path]) -> list[Path]:
    """The folders with images that have no video in them or below; DataError if frames lie above frames."""
    of_videos = {above for path in videos for above in path.parents}
    folders = {path.parent for path in images} - of_videos
    for path in sorted(folders):
        inner = next((above for above in path.parents if above in folders), None)
        if inner:
            raise DataError(f"{inner}: holds images beside the folder of frames {path}; expected frames in one of them")
    return sorted(folders)


def _videos(folder: Path, paths: Sequence[Path], *, are_files: bool) -> tuple[Video, ...]:
    inside = [path.relative_to(folder) for path in paths]
    told_by = splits_and_labels([path.parts[:-1] for path in inside], where=folder)
    divided = next((label for _, label in told_by if LABEL_SEPARATOR in label), None)
    if divided:
        warn(f"{folder}: the folder {divided!r} is read as several classes with ';' between them")
    ids = ids_of_files(inside) if are_files else [nfc(path.as_posix()) for path in inside]
    names = [name if path.parts else nfc(folder.absolute().name) for name, path in zip(ids, inside, strict=True)]
    return tuple(
        Video(name, path.absolute(), label, split)
        for name, path, (split, label) in zip(names, paths, told_by, strict=True)
    )
