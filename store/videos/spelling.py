"""Spelling: names in one Unicode form, and the ids that file names give."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath


def nfc(text: str) -> str:
    """Return a name in Unicode's composed form (NFC): a Mac writes "é" as two characters, most others as one."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def nfc_ids(ids: Sequence[str]) -> list[str]:
    """Return ids in NFC; one that would then equal another id stays as it is, because a store may hold both."""
    if all(map(str.isascii, ids)):
        return list(ids)
    found = [nfc(one) for one in ids]
    if found == list(ids):
        return found
    counts = Counter(found)
    return [new if counts[new] == 1 else old for new, old in zip(found, ids, strict=True)]


def find_file(folder: Path, name: str) -> Path:
    """Return the path of a file, also if its name has the other Unicode form or backslashes separate its folders.

    Where no such file is there, the path is what the name says.
    """
    plain = Path(os.path.join(folder, name))  # noqa: PTH118 - half the time of "/", in a list of 100,000
    if (name.isascii() and "\\" not in name) or plain.exists():
        return plain
    names = [name, name.replace("\\", "/")]
    others = (folder / unicodedata.normalize(form, one) for one in names for form in ("NFC", "NFD"))
    return next((other for other in others if other.exists()), plain)


def ids_of_files(paths: Sequence[PurePath]) -> list[str]:
    """Return the id of each file: its path without the suffix, or with it if two would have the same id.

    If paths differ only in their Unicode form, those that are not in NFC keep their form.
    """
    whole = [nfc(path.as_posix()) for path in paths]
    ids = [nfc(path.with_suffix("").as_posix()) for path in paths]
    while True:
        counts = Counter(ids)
        clashing = [place for place, one in enumerate(ids) if counts[one] > 1 and one != whole[place]]
        if not clashing:
            return [str(path.as_posix()) if counts[one] > 1 else one for path, one in zip(paths, ids, strict=True)]
        for place in clashing:
            ids[place] = whole[place]
