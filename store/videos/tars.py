"""Tars of videos, as WebDataset writes them: which members are videos, and what the members beside them say."""

import functools
import tarfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from framebank.store.counts import counted
from framebank.store.errors import DataError, parsing, reason_of
from framebank.store.files.walk import HIDDEN, NO_FILE, is_litter
from framebank.store.formats.document import parse_json
from framebank.store.videos.intake import BESIDE, Intake, by_reason, joined, suffix_reason
from framebank.store.videos.spelling import ids_of_files, nfc
from framebank.store.videos.split_folders import splits_of_tars
from framebank.store.videos.video import IMAGE_SUFFIXES, LABEL_SEPARATOR, VIDEO_SUFFIXES, Video

COMPRESSED_SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
LABEL_SUFFIXES = (".cls", ".json", ".txt")
LABEL_KEYS = ("label", "cls", "class")
MAX_LABEL_BYTES = 1 << 20


def is_tar(path: Path) -> bool:
    """Whether a file is a tar by its name, a compressed one too."""
    return path.name.lower().endswith((".tar", *COMPRESSED_SUFFIXES))


def tar_and_member(path: Path) -> tuple[Path, str]:
    """Return the tar and the member that a video's path leads to; (path, "") where it leads through no tar."""
    for above in path.parents:
        if above.suffix.lower() == ".tar" and above.is_file():
            return above, path.relative_to(above).as_posix()
    return path, ""


def find_member(tar: Path, member: str) -> tuple[int, int]:
    """Return where in a tar the bytes of a member start, and how many there are.

    DataError if the tar lacks it, or is not a complete uncompressed tar.
    """
    members = members_of(tar)
    if member not in members:
        raise DataError(f"{tar / member}: {tar.name} has no such file among its {len(members)}")
    return members[member]


def members_of(tar: Path) -> Mapping[str, tuple[int, int]]:
    """Return the start and length of each plain file in a tar, by name; of one name the last, as in unpacking.

    DataError if it is not a complete uncompressed tar.
    """
    status = tar.stat()
    return _members(tar, status.st_size, status.st_mtime_ns)


# A shard holds thousands of videos that are read one after the other: its headers are walked through once.
@functools.lru_cache(maxsize=16)
def _members(tar: Path, size: int, changed_ns: int) -> dict[str, tuple[int, int]]:
    with parsing(tar, what="a complete uncompressed tar"), tarfile.open(tar, "r:") as archive:
        plain = [member for member in archive if member.isreg() and not member.issparse()]
    _require_inside(tar, plain, size)
    return {Path(member.name).as_posix(): (member.offset_data, member.size) for member in plain}


def _require_inside(tar: Path, members: Sequence[tarfile.TarInfo], size: int) -> None:
    """Refuse members that claim more bytes than the tar has: DataError."""
    beyond = next((m for m in members if m.size < 0 or m.offset_data < 0 or m.offset_data + m.size > size), None)
    if beyond:
        raise DataError(
            f"{tar}: is a damaged tar (its member {beyond.name!r} claims {beyond.size} bytes, the tar has {size})"
        )


def read_tars(
    paths: Sequence[Path],
    *,
    suffixes: Collection[str] = VIDEO_SUFFIXES,
    is_video: Callable[[Path], bool] | None = None,
) -> Intake:
    """Return the members of tars that are videos, and those that are not; only headers and labels are read.

    `suffixes` says what is a video, and `is_video`, where it is given, which members of other suffixes are. A video's
    path is the tar's joined with the member's name, its video_id `<stem of the tar>/<name without suffix>`, its label
    that of the member `key.cls`, `key.json` ("label", "cls" or "class") or `key.txt` beside it, the first there is; its
    split the name of the tar's folder where that is a split (`splits_of_tars`). Where tars of one stem have a key in
    common, their folders stand in front of the stem: "train/0/a" and "val/0/a". DataError for a tar that is compressed,
    damaged or without videos.
    """
    splits = splits_of_tars(paths)
    kind = Kind(suffixes, is_video)
    intakes = [_read_tar(path, kind, split) for path, split in zip(paths, splits, strict=True)]
    videos = tuple(video for taken in _told_apart(paths, intakes) for video in taken)
    return Intake(videos, joined(intake.not_taken for intake in intakes))


def _told_apart(paths: Sequence[Path], intakes: Sequence[Intake]) -> list[tuple[Video, ...]]:
    """Return the videos of each tar, the ids of those tars longer whose stem gives two videos one id."""
    counts = Counter(video.video_id for intake in intakes for video in intake.videos)
    stems = [nfc(path.stem) for path in paths]
    twice = [any(counts[video.video_id] > 1 for video in intake.videos) for intake in intakes]
    clashing = {stem for stem, clashes in zip(stems, twice, strict=True) if clashes}
    parts = [path.absolute().with_suffix("").parts for path in paths]
    alike = [part for part, stem in zip(parts, stems, strict=True) if stem in clashing]
    depth = 1
    while len({part[-depth:] for part in alike}) < len(set(alike)):
        depth += 1
    found = []
    for part, stem, intake in zip(parts, stems, intakes, strict=True):
        name = nfc("/".join(part[-depth:])) if stem in clashing else stem
        renamed = (replace(video, video_id=name + video.video_id.removeprefix(stem)) for video in intake.videos)
        found.append(tuple(renamed))
    return found


@dataclass(frozen=True)
class Kind:
    """Which members are videos: those of some suffixes, and others whose content `is_video` says is one."""

    suffixes: Collection[str]
    is_video: Callable[[Path], bool] | None

    def fits(self, path: Path) -> bool:
        """Whether a member, by the path that leads to it, is a video."""
        suffix = path.suffix.lower()
        known = suffix in self.suffixes or suffix in IMAGE_SUFFIXES or suffix in LABEL_SUFFIXES
        return suffix in self.suffixes or (not known and self.is_video is not None and self.is_video(path))


def _read_tar(path: Path, kind: Kind, split: str) -> Intake:
    _require_plain(path)
    try:
        with tarfile.open(path, "r:") as tar:
            members = tar.getmembers()
            _require_end(path, tar.offset, len(members))
            _require_inside(path, [one for one in members if one.isreg() and not one.issparse()], path.stat().st_size)
            return _videos(path, tar, members, kind, split)
    except DataError:
        raise
    except Exception as error:  # tarfile can raise any error on a damaged header
        raise DataError(f"{path}: is a damaged tar ({reason_of(error)})") from error


def _require_plain(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(max(map(len, MAGIC)))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    how = next((name for magic, name in MAGIC.items() if start.startswith(magic)), None)
    if how or path.name.lower().endswith(COMPRESSED_SUFFIXES):
        raise DataError(f"{path}: is compressed{f' ({how})' if how else ''}; expected an uncompressed tar")


def _require_end(path: Path, end: int, count: int) -> None:
    """Refuse a tar without its closing block of zeros: tarfile itself takes one that is cut between two members."""
    with path.open("rb") as file:
        file.seek(end)
        block = file.read(tarfile.BLOCKSIZE)
    if block != bytes(tarfile.BLOCKSIZE):
        raise DataError(f"{path}: is a damaged tar (after {count} members it is cut off or cannot be read)")


def _videos(path: Path, tar: tarfile.TarFile, members: list[tarfile.TarInfo], kind: Kind, split: str) -> Intake:
    where = path.absolute()
    files = [(_inside(path, member.name), member) for member in members if not member.isdir()]
    left = [(HIDDEN, where / name) for name, _ in files if any(map(is_litter, name.parts))]
    files = [(name, member) for name, member in files if not any(map(is_litter, name.parts))]
    left += [(NO_FILE, where / name) for name, member in files if member.isdev()]
    by_name = {name: member for name, member in files if not member.isdev()}
    taken = [name for name, member in files if not member.isdev() and kind.fits(where / name)]
    linked = next((by_name[name] for name in taken if not by_name[name].isreg()), None)
    if linked:
        raise DataError(f"{path}: its member {linked.name!r} is a link; expected the video itself")
    if len(set(taken)) < len(taken):
        twice = next(name for place, name in enumerate(taken) if name in taken[:place])
        key = str(twice.with_suffix(""))
        raise DataError(f"{path}: has two videos with the key {key!r}; expected one for each key")
    if not taken:
        wanted = "a video file" if kind.suffixes is VIDEO_SUFFIXES else " or ".join(kind.suffixes)
        raise DataError(f"{path}: holds {counted(len(members), 'member')}, none of them {wanted}")
    videos, used = [], set(taken)
    spelled = {_plain(name): name for name in by_name}
    for name, key in zip(taken, ids_of_files(taken), strict=True):
        label, beside = _label(path, tar, by_name, spelled, name)
        used |= beside
        videos.append(Video(f"{nfc(path.stem)}/{key}", where / name, label, split))
    others = [name for name in by_name if name not in used]
    left += [
        (BESIDE if name.suffix.lower() in IMAGE_SUFFIXES else suffix_reason(name.name), where / name) for name in others
    ]
    return Intake(tuple(videos), by_reason(left))


def _inside(path: Path, name: str) -> PurePosixPath:
    """The name as a path below the tar: "./a/v.mp4" is "a/v.mp4"."""
    inside = PurePosixPath(name)
    if inside.is_absolute() or ".." in inside.parts:
        raise DataError(f"{path}: its member {name!r} leads out of the tar; expected names inside it")
    return inside


def _plain(name: PurePosixPath) -> str:
    """A member's name in one Unicode form, its suffix in small letters."""
    return nfc(str(name.with_suffix(name.suffix.lower())))


def _label(
    path: Path,
    tar: tarfile.TarFile,
    by_name: Mapping[PurePosixPath, tarfile.TarInfo],
    spelled: Mapping[str, PurePosixPath],
    video: PurePosixPath,
) -> tuple[str, set[PurePosixPath]]:
    """The label that the members beside a video give it, and all the members that could (`spelled`: `_plain` names)."""
    # Webdataset ends a key at the first dot of the name, so "key.rgb.mp4" may have its label in "key.cls".
    stems = dict.fromkeys((video.stem, video.name.split(".")[0]))
    wanted = [_plain(video.with_name(stem + suffix)) for stem in filter(None, stems) for suffix in LABEL_SUFFIXES]
    names = [spelled[name] for name in wanted if name in spelled]
    found = ""
    for name in names:
        member = by_name[name]
        if found or not member.isreg():
            continue
        if member.size > MAX_LABEL_BYTES:
            raise DataError(f"{path}: its member {member.name!r} has {member.size} bytes; expected a label")
        file = tar.extractfile(member)
        assert file is not None  # it is a regular file
        found = _label_in(file.read(), name.suffix.lower(), where=f"{path}: its member {member.name!r}")
    return found, set(names)


def _label_in(data: bytes, suffix: str, *, where: str) -> str:
    try:
        text = nfc(data.decode("utf-8-sig").strip())
    except UnicodeDecodeError as error:
        raise DataError(f"{where} cannot be read as a label: {error}") from error
    if suffix != ".json":
        return text
    found = parse_json(text, where=where, expected="expected a label")
    label = next((found[key] for key in LABEL_KEYS if key in found), "") if isinstance(found, dict) else ""
    names = [str(name) for name in (label if isinstance(label, list) else [label])]
    if not all(isinstance(name, str | int) for name in (label if isinstance(label, list) else [label])):
        raise DataError(f"{where} gives the label {label!r}; expected a name, or a list of names")
    return LABEL_SEPARATOR.join(names)
