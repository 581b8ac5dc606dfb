"""Match lists with videos: which video a row means, and which split and label the row gives it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.videos.labels import class_text, read_class_numbers
from framebank.store.videos.lists import ListedVideo, is_class_list, list_files, read_charades_segments, read_list
from framebank.store.videos.matching import match, name_parts
from framebank.store.videos.row_names import settle_names
from framebank.store.videos.video import LABEL_SEPARATOR, Video

CHARADES_CLASSES = "Charades_v1_classes.txt"
CLASS_FILES = ("classInd.txt", CHARADES_CLASSES)  # UCF101's and Charades', beside their lists


def with_lists(videos: Sequence[Video], files: Sequence[Path]) -> tuple[tuple[Video, ...], list[str]]:
    """Return the videos with the split and the label from official lists, and lines about each list.

    A list's rows are held against the videos by as many folders before the name ("Archery/v_1.avi") as agree for any
    of them; suffixes of video files do not count. A video in no list is in no split, where any list says one. A file
    with a star in its name stands for those it matches.

    A file of classes among the files says what the numbers in the lists after it mean (those before it too, where it
    is the first); without one, UCF101's or Charades' that lies beside the list. A video keeps the label it has.

    DataError when a list names none of the videos or may mean either of two, when it says neither split nor class, and
    when lists, or a list and the video's own label, contradict each other.
    """
    files = list_files(files)
    class_files = [file for file in files if is_class_list(file)]
    classes = read_class_numbers(class_files[0]) if class_files else None
    split_of: dict[str, str] = {}
    given = {video.video_id: video for video in videos}
    notes = []
    for file in files:
        if file in class_files:
            classes = read_class_numbers(file)
            notes.append(f"{file.name}: {counted(len(classes), 'class', 'classes')}")
            continue
        listed = settle_names(read_list(file), videos, where=file)
        known = classes if class_files else _classes_beside(file, listed)
        rows = name_classes(listed, _counted_alike(listed, known), where=file)
        if not any(row.split or row.label for row in rows):
            raise DataError(
                f"{file}: its name says neither train, val nor test, so its split is unknown, and it names no class"
            )
        found = match(rows, videos, where=file)
        for row, video in found:
            if row.split and split_of.setdefault(video.video_id, row.split) != row.split:
                was = split_of[video.video_id]
                raise DataError(f"{file}: lists {video.video_id!r} for {row.split}, another list for {was}")
            given[video.video_id] = _labelled(given[video.video_id], row, where=file)
        notes += _notes(file, rows, found, given)
    if split_of:
        return tuple(replace(video, split=split_of.get(video.video_id, "")) for video in given.values()), notes
    return tuple(given.values()), notes


def name_classes(rows: Sequence[ListedVideo], classes: Mapping[int, str] | None, *, where: Path) -> list[ListedVideo]:
    """Return the rows with the labels that their codes mean, or else the folder before the name, where that is a class.

    A few-shot list's "train8" is a class of its own split only, so no class list names it. Without `classes` a folder
    is a class where the folders and the codes of the list belong together one to one. DataError for a number that is
    not among the classes, and where number and folder are two classes.
    """
    if classes is None:
        folders = _folders_of_codes(rows)
        return [row if row.label else replace(row, label=folders.get(row.codes, "")) for row in rows]
    by_text = {class_text(name): name for name in classes.values()}
    named = []
    for row in rows:
        numbers = [int(code.removeprefix("c")) for code in row.codes if code.removeprefix("c").isdecimal()]
        strange = next((number for number in numbers if number not in classes), None)
        if strange is not None:
            raise DataError(
                f"{where}: {row.key!r} has the class {strange}; expected one of the {len(classes)} classes numbered "
                f"{min(classes)} to {max(classes)}"
            )
        folder = by_text.get(class_text(_folder(row.key)), "")
        label = LABEL_SEPARATOR.join(classes[number] for number in numbers)
        if folder and label and folder != label:
            raise DataError(
                f"{where}: {row.key!r} is of class {numbers[0]}, {label!r}, but lies in the folder {folder!r}; "
                "expected the list of classes that its numbers belong to"
            )
        named.append(replace(row, label=row.label or label or folder))
    return named


def charades_segments(videos: Sequence[Video], file: Path, *, classes: Path) -> tuple[Video, ...]:
    """Return one video for each action in a list of Charades, with its label, start and end (seconds).

    Its video_id is that of the video, "#" and the number of the action in the list. DataError as for `with_lists`.
    """
    rows = name_classes(read_charades_segments(file), read_class_numbers(classes), where=file)
    segments: dict[str, Video] = {}
    count: dict[str, int] = {}
    for row, video in match(rows, videos, where=file):
        number = count[video.video_id] = count.get(video.video_id, 0) + 1
        name = f"{video.video_id}#{number}"
        segments[name] = Video(name, video.path, row.label, row.split or video.split, row.start, row.end, video.group)
    return tuple(segments.values())


def _classes_beside(file: Path, rows: Sequence[ListedVideo]) -> dict[int, str] | None:
    """The classes beside a list; None if bare names have not all their numbers: they may be of other classes."""
    path = next((file.parent / name for name in CLASS_FILES if (file.parent / name).is_file()), None)
    classes = read_class_numbers(path) if path else None
    numbers = _bare_numbers(rows)
    if classes and numbers and numbers not in (set(classes), set(range(len(classes)))):
        return None
    return classes


def _counted_alike(rows: Sequence[ListedVideo], classes: Mapping[int, str] | None) -> Mapping[int, str] | None:
    """The classes numbered from 0 where a list of bare names counts them all from 0, as UCF101's own file does not."""
    if classes and _bare_numbers(rows) == set(range(len(classes))):
        return dict(enumerate(classes[number] for number in sorted(classes)))
    return classes


def _bare_numbers(rows: Sequence[ListedVideo]) -> set[int]:
    """The class numbers of the rows whose name has no folder that would tell the class too."""
    return {int(code) for row in rows if not _folder(row.key) for code in row.codes if code.isdecimal()}


def _folders_of_codes(rows: Sequence[ListedVideo]) -> dict[tuple[str, ...], str]:
    """The folder of each code, when there are two or more and each has its own."""
    pairs = {(row.codes, _folder(row.key)) for row in rows}
    codes, folders = {code for code, _ in pairs}, {folder for _, folder in pairs}
    if () in codes or "" in folders or not 1 < len(codes) == len(folders) == len(pairs):
        return {}
    return dict(pairs)


def _folder(key: str) -> str:
    return (name_parts(key)[-2:-1] or ("",))[0]


def _labelled(video: Video, row: ListedVideo, *, where: Path) -> Video:
    """The video with the row's label; a part of a video keeps its own, for the row speaks of the whole."""
    if video.start is not None or video.end is not None:
        return video
    if not video.label:
        # A code that is more than a number is a class of its own, be it without a name.
        codes = LABEL_SEPARATOR.join(code for code in row.codes if not code.isdecimal())
        return replace(video, label=row.label or codes)
    theirs = {class_text(name) for name in row.label.split(LABEL_SEPARATOR)}
    if row.label and theirs != {class_text(name) for name in video.labels}:
        raise DataError(f"{where}: lists {video.video_id!r} as {row.label!r}, but its label is {video.label!r}")
    return video


def _notes(
    file: Path, rows: Sequence[ListedVideo], found: Sequence[tuple[ListedVideo, Video]], given: Mapping[str, Video]
) -> list[str]:
    present = {row for row, _ in found}
    notes = []
    for split in dict.fromkeys(row.split for row in rows):
        listed = [row for row in rows if row.split == split]
        there = sum(row in present for row in listed)
        notes.append(
            f"{file.name}: {counted(len(listed), 'video')} listed for {split or 'no split'}, {there} of them given"
        )
    named = sum(bool(given[video.video_id].label) and not video.label for _, video in found)
    if named:
        notes.append(f"{file.name}: {named} of them get their label from it")
    nameless = sum(bool(row.codes) and not given[video.video_id].label for row, video in found)
    if nameless:
        notes.append(f"{file.name}: {nameless} of them have no label, because no list of classes explains its numbers")
    return notes
