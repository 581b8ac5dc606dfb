"""HDF5 as it is read: in a process of its own (`hdf5_process.py`), and nothing beyond the file itself.

A file may name other files of the machine: as external storage, by virtual datasets and by links. All are refused.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from framebank.store.errors import DataError
from framebank.store.formats.description import DIGEST, KINDS, NUM_TEXTS, Description, Form, Value

# Filters that HDF5 and h5py bring themselves. Of these shuffle and fletcher32 leave the size as it is.
KEEPING = (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
PACKING = (
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SZIP,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_SCALEOFFSET,
    h5py.h5z.FILTER_LZF,
)
MOST_PACKED = 1032  # to one, by deflate at best
MOST_CHUNKS = 256 << 20  # bytes of unpacked chunks that are kept
ALWAYS_READ = 1 << 24  # so many bytes may be claimed without any in the file: what was never written reads as zeros

NUM_TEXTS_READ = 1024  # strings that are read at a time
MOST_LINKS = 32  # followed for one name
LEAST_LINK = 8  # the bytes that a link takes at least

File = h5py.File
Watch = Callable[[], None]  # told again and again that it goes on


def open_file(path: Path) -> h5py.File:
    """Open a file for reading; DataError if it is not one of HDF5."""
    try:
        # Files never change once they have their name. A chunk is unpacked once where many rows of it are asked for.
        return h5py.File(path, "r", locking=False, rdcc_nbytes=MOST_CHUNKS)
    except OSError as error:
        raise DataError(f"is not a readable HDF5 file ({error})") from error


def describe(file: h5py.File, *, size: int, watch: Watch) -> Description:
    """Return what a file of this many bytes holds; DataError if it names other files, or claims more than it has.

    Any error of h5py if the file is damaged.
    """
    forms: dict[str, Form] = {}
    seen: dict[int, Form] = {}  # a dataset may have several names
    empty: list[str] = []
    for name, item in _walk(file, size=size, watch=watch):
        if isinstance(item, h5py.Dataset):
            address = _address(item)
            if address not in seen:
                seen[address] = _form(item, size=size, watch=watch)
            elif seen[address].texts:  # each name would say all of them again
                raise DataError(f"{_shown(name)} is another name for the strings in {_shown(seen[address].place)}")
            forms[name] = seen[address]
        else:
            empty.append(name)
    names = _names(file.attrs, size=size, watch=watch)
    return Description({name: _attribute(file, name) for name in names}, forms, tuple(empty))


def read_rows(file: h5py.File, place: str, start: int, end: int) -> np.ndarray:
    """Return rows of a dataset that `describe` found; () gives the value of one without rows."""
    dataset = file[place]
    return np.asarray(dataset[start:end] if dataset.shape else dataset[()])


def _walk(file: h5py.File, *, size: int, watch: Watch) -> Iterator[tuple[str, Any]]:
    """Yield each dataset by name, and None for a group that holds nothing or a link that leads nowhere.

    A group with several links to it is entered once.
    """
    groups: list[tuple[str, h5py.Group]] = [("", file)]
    seen = {_address(file)}
    while groups:
        name, group = groups.pop(0)
        keys = _names(group, size=size, watch=watch)
        if name and not keys:
            yield name, None
        for key in keys:
            path = f"{name}/{key}" if name else key
            item = _item(file, group, key, left=MOST_LINKS)
            if item is None or isinstance(item, h5py.Dataset):
                yield path, item
            elif isinstance(item, h5py.Group) and _address(item) not in seen:
                seen.add(_address(item))
                groups.append((path, item))


def _names(holder: Any, *, size: int, watch: Watch) -> list[str]:
    """The names in a group, or of attributes; DataError if they are not names, or do not end."""
    found: dict[str, None] = {}
    for name in holder:
        watch()
        if name in found or len(found) > size // LEAST_LINK:
            raise DataError(f"is damaged: {_shown(name)} is in it twice")
        if not isinstance(name, str) or name in ("", ".") or (isinstance(holder, h5py.Group) and "/" in name):
            raise DataError(f"holds the name {_shown(name)}; expected one in UTF-8, without a slash")
        found[name] = None
    return list(found)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in name


def _shown(name: str | bytes) -> str:
    return ascii(name[:80])


def _item(file: h5py.File, group: h5py.Group, key: str, *, left: int) -> Any:
    """What a link leads to, without leaving the file; None if it leads nowhere."""
    links, name = group.id.links, key.encode()  # h5py's own ways of asking follow the link
    if not left or not links.exists(name):
        return None
    kind = links.get_info(name).type
    if kind == h5py.h5l.TYPE_HARD:
        return group[key]
    if kind != h5py.h5l.TYPE_SOFT:
        raise DataError(f"{_shown(key)} is a link to another file; expected all in one file")
    target = links.get_val(name).decode(errors="surrogateescape")
    item: Any = file if target.startswith("/") else group
    for part in target.split("/"):
        if part in ("", "."):
            continue
        if not isinstance(item, h5py.Group) or not _is_utf8(part):
            return None
        left -= 1
        item = _item(file, item, part, left=left)
    return item


def _address(item: h5py.Group | h5py.Dataset) -> int:
    return int(h5py.h5o.get_info(item.id).addr)


def _form(dataset: h5py.Dataset, *, size: int, watch: Watch) -> Form:
    place, create = str(dataset.name), dataset.id.get_create_plist()
    if create.get_layout() == h5py.h5d.VIRTUAL or create.get_external_count():
        raise DataError(f"{_shown(place)} lies in another file; expected all in one file")
    filters = [create.get_filter(number)[0] for number in range(create.get_nfilters())]
    if set(filters) - {*KEEPING, *PACKING}:
        raise DataError(f"{_shown(place)} is packed by a plug-in; expected the filters of HDF5 itself")
    dtype, problem = _dtype(dataset)
    if problem:
        return Form("|V0", (), None, place, problem=problem)
    shape = tuple(map(int, dataset.shape))
    offset = dataset.id.get_offset()
    form = Form(
        dtype.str,
        shape,
        offset if _is_plain(dataset, dtype) else None,
        place,
        digest=str(_attribute(dataset, DIGEST) or ""),
        num_texts=_num_texts(dataset),
        num_stored=int(dataset.id.get_storage_size()),
    )
    packing = len([one for one in filters if one in PACKING])
    _require_room(form, begin=offset or 0, packing=packing, is_chunked=dataset.chunks is not None, size=size)
    return form if dtype.kind != "O" else _with_texts(dataset, form, size=size, watch=watch)


def _dtype(dataset: h5py.Dataset) -> tuple[np.dtype[Any], str]:
    """The type of a dataset, and why it cannot be read where it cannot."""
    nothing = np.dtype("V")
    try:
        dtype = dataset.dtype
    except (TypeError, ValueError) as error:
        return nothing, f"has a type that numpy does not know ({error})"
    if dataset.shape is None:
        return nothing, "holds nothing"
    if dtype.kind == "O" and (h5py.check_string_dtype(dtype) is None or dataset.ndim > 1):
        return nothing, "holds objects; expected numbers or strings"
    if dtype.kind not in KINDS:
        return nothing, f"has the type {dtype}; expected numbers or strings"
    return dtype, ""


def _is_plain(dataset: h5py.Dataset, dtype: np.dtype[Any]) -> bool:
    """Whether its bytes in the file are those of the numpy type; HDF5 knows numbers of 27 bits too."""
    return dtype.kind == "S" or (dtype.kind in "fiu" and bool(dataset.id.get_type().equal(h5py.h5t.py_create(dtype))))


def _num_texts(dataset: h5py.Dataset) -> int | None:
    number = _attribute(dataset, NUM_TEXTS) if dataset.dtype == np.uint8 and dataset.ndim == 1 else None
    return number if isinstance(number, int) and number >= 0 else None


def _require_room(form: Form, *, begin: int, packing: int, is_chunked: bool, size: int) -> None:
    """Refuse a dataset that claims more bytes than its part of the file can give: DataError."""
    most = form.num_stored * MOST_PACKED ** max(1, packing) if is_chunked else form.num_stored
    claim = np.dtype(form.dtype).itemsize * math.prod(max(1, length) for length in form.shape)  # of (0, 2**60) too
    if begin + form.num_stored > size or claim > max(most, ALWAYS_READ) or (begin and form.num_bytes > most):
        raise DataError(f"{_shown(form.place)} claims {claim} bytes, more than the file of {size} can hold")


def _with_texts(dataset: h5py.Dataset, form: Form, *, size: int, watch: Watch) -> Form:
    texts: list[str] = []
    length = 0
    try:
        for start in range(0, form.shape[0] if form.shape else 1, NUM_TEXTS_READ):
            watch()
            found = np.atleast_1d(read_rows(dataset.file, form.place, start, start + NUM_TEXTS_READ)).tolist()
            length += sum(map(len, found))
            if length > size:  # one string may stand for many
                raise DataError(f"{_shown(form.place)} claims strings of more than {size} bytes, which the file has")
            texts += [text.decode() for text in found]
    except UnicodeDecodeError as error:
        return Form("|V0", (), None, form.place, problem=f"holds strings that are not in UTF-8 ({error})")
    return Form(form.dtype, form.shape, None, form.place, form.digest, texts=tuple(texts))


def _attribute(holder: Any, name: str) -> Value:
    """One attribute as a plain value; None if it is not there, or is a list or another thing."""
    if not h5py.h5a.exists(holder.id, name.encode()):
        return None
    about = h5py.h5a.open(holder.id, name.encode())
    value: Any = None
    if about.shape == () and about.dtype.kind in "fiubS":
        found = np.empty((), dtype=about.dtype)
        about.read(found)
        value = found.item()
    elif about.shape == () and h5py.check_string_dtype(about.dtype) is not None:
        value = holder.attrs[name]
    if isinstance(value, bytes):
        value = value.decode(errors="surrogateescape")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float) and (not isinstance(value, str) or _is_utf8(value)) else None
