"""Near copies: the warning that a test video has a copy among the training videos, which makes its figures too good."""

from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING

from framebank.store.counts import counted, listed
from framebank.store.errors import warn

if TYPE_CHECKING:
    from framebank.store import FeatureStore, Manifest

SHOWN = 3
TEST = "test"


def warn_of_copies(store: "FeatureStore", *, tested: "Manifest", trained: Sequence[str]) -> None:
    """Give one DataWarning that names the test videos with a near-copy among the training videos, the surest first.

    Only whole videos and halves are looked for, first by mean rows: a fraction of a second for some thousand videos.
    Where there are very many, only some of the test videos are compared, and a warning says how many. A video that is
    in both is left out, because other warnings tell of it.
    """
    from framebank.heads.copies.across import copies_across, evenly

    known = set(trained)
    there = [video.video_id for video in tested.videos if video.video_id not in known and video.video_id in store]
    if not there or not known:
        return
    asked = evenly(there, trained)
    found = copies_across(store, asked, trained)
    part = f"of {counted(len(there), 'test video')}, {len(asked):,} were compared" if len(asked) < len(there) else ""
    if part and not found:
        warn(
            f"{store.path}: {part} with the training videos, and none of these is a near-copy; "
            f"`framebank duplicates {quote(str(store.path))}` compares all"
        )
    if found:
        shown = listed((f"{a!r} and {b!r} ({score:.2f})" for a, b, score in found), most=SHOWN)
        has = "has" if len(found) == 1 else "have"
        warn(
            f"{store.path}: {counted(len(found), 'test video')} {has} a near-copy among "
            f"the training videos, so figures may be too good: {shown}; {part}{'; ' if part else ''}"
            f"`framebank duplicates {quote(str(store.path))}` shows where"
        )


def warn_of_test_copies(store: "FeatureStore", trained: Sequence[str], *, split: str) -> None:
    """Give the same warning for the videos of the split "test", if `split`, of the training, is another one."""
    from framebank.store import Manifest

    test = store.manifest.split_named(TEST)
    tested = tuple(video for video in store.manifest.videos if video.split == test)
    if tested and split not in (test, "all"):
        warn_of_copies(store, tested=Manifest(tested), trained=trained)
