"""Places: where a search may put its pictures and clips, checked before it searches."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.library.search_index import SearchIndex


def require_places(opened: "SearchIndex", *, sheet: Path | None, preview: Path | None, clips: Path | None) -> None:
    """Refuse a picture of another ending, and what would lie among the videos of the index: DataError.

    The next extraction of the folder of the videos would take it for a video.
    """
    from framebank.library.searching import preview as previews
    from framebank.library.searching import sheet as sheets

    if sheet is not None:
        sheets.require_name(sheet)
    if preview is not None:
        previews.require_name(preview)
    outs = [out for out in (sheet, preview, clips) if out is not None]
    above = {str(folder): out for out in outs for folder in (out.resolve(), *out.resolve().parents)}
    # A folder that holds the index was not given to an extraction as a whole: it was one of single files.
    for folder in (opened.path.resolve(), *opened.path.resolve().parents):
        above.pop(str(folder), None)
    found = next((root for root in _roots(opened) if root in above), None) if above else None
    if found is not None:
        raise DataError(f"{above[found]}: is among the videos of {found}; expected another place")


def _roots(opened: "SearchIndex") -> Iterable[str]:
    """Yield the folders that the video_ids are relative to."""
    for video in opened.index.videos:
        path = str(video.path)
        at = path.rfind(f"{os.sep}{video.video_id}")
        if at > 0:
            yield path[:at]
