"""Selections: the videos of a store that ids, patterns and conditions mean."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from fnmatch import fnmatchcase

from framebank.store.errors import DataError, near_names
from framebank.store.videos.manifest import Manifest, Video
from framebank.store.videos.spelling import nfc

COLUMNS = ("video_id", "path", "label", "split", "group")


def matching(patterns: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """Return the matching ids, each with the pattern that it matches (the last of several).

    A pattern is an id, or a pattern as in a shell: "run/*" is all that begins with "run/". DataError with near names
    for one that matches nothing.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        met = [pattern] if pattern in known else [name for name in known if fnmatchcase(name, pattern)]
        if not met:
            what = "has no video like" if any(mark in pattern for mark in "*?[") else "has no video"
            raise DataError(f"{what} {pattern!r}{near_names(pattern, known)}")
        found |= dict.fromkeys(met, pattern)
    return found


def where(manifest: Manifest, conditions: Mapping[str, str]) -> list[str]:
    """Return the ids of the videos whose columns have these values, or match them as patterns; "" is none.

    If a video has several labels, one is enough. DataError for an unknown column, or if no video matches.
    """
    there = [one.name for one in fields(Video) if one.name in COLUMNS]
    conditions = {name: nfc(pattern) for name, pattern in conditions.items()}
    conditions = {name: manifest.split_named(text) if name == "split" else text for name, text in conditions.items()}
    strange = next((name for name in conditions if name not in there), None)
    if strange is not None:
        raise DataError(f"there is no column {strange!r}; expected one of {', '.join(there)}")
    met = [
        video.video_id
        for video in manifest.videos
        if all(_fits(video, column, pattern) for column, pattern in conditions.items())
    ]
    if not met:
        told = " and ".join(f"{column}={value}" for column, value in conditions.items())
        values = sorted({getattr(video, column) for video in manifest.videos for column in conditions})
        raise DataError(f"no video has {told}{near_names(next(iter(conditions.values())), values)}")
    return met


def _fits(video: Video, column: str, pattern: str) -> bool:
    value = str(getattr(video, column))
    values = (value, *video.labels) if column == "label" else (value,)
    return any(one == pattern or fnmatchcase(one, pattern) for one in values)
