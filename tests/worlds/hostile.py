"""HDF5 files that are damaged or made to harm, each by a change of a good one."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

SECRET = b"a line of another file\n" * 4000
OUTSIDE = "outside"  # the name of that file, and with .h5 of one that holds datasets


def write_outside(folder: Path) -> None:
    """Write the files that no reader may read."""
    (folder / OUTSIDE).write_bytes(SECRET)
    with h5py.File(folder / f"{OUTSIDE}.h5", "w") as file:
        file["secret"] = np.frombuffer(SECRET, dtype=np.uint8)
        file["group/secret"] = np.zeros((6, 8), dtype="<f2")


Change = Callable[[h5py.File, str, Path], None]  # of a file, the name of a dataset in it, the folder of those outside


def _again(file: h5py.File, name: str, **how: object) -> None:
    """Make a dataset anew, without values."""
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    file.create_dataset(name, **{"shape": shape, "dtype": dtype, **how})


def external_storage(file: h5py.File, name: str, folder: Path) -> None:
    _again(file, name, external=[(str(folder / OUTSIDE), 0, h5py.h5f.UNLIMITED)])


def virtual_dataset(file: h5py.File, name: str, folder: Path) -> None:
    layout = h5py.VirtualLayout(shape=file[name].shape, dtype=file[name].dtype)
    layout[...] = h5py.VirtualSource(folder / f"{OUTSIDE}.h5", "group/secret", shape=file[name].shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


def external_link(file: h5py.File, name: str, folder: Path) -> None:
    del file[name]
    file[name] = h5py.ExternalLink(folder / f"{OUTSIDE}.h5", "/group/secret")


def link_through_an_external_link(file: h5py.File, name: str, folder: Path) -> None:
    del file[name]
    file["door"] = h5py.ExternalLink(folder / f"{OUTSIDE}.h5", "/group")
    file[name] = h5py.SoftLink("/door/secret")


def filter_of_a_plug_in(file: h5py.File, name: str, folder: Path) -> None:
    dtype, shape = file[name].id.get_type(), file[name].shape
    del file[name]
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk(shape)
    create.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
    h5py.h5d.create(file.id, name.encode(), dtype, h5py.h5s.create_simple(shape), create)


def claim_of_60_gb(file: h5py.File, name: str, folder: Path) -> None:
    _again(file, name, shape=(60 << 30, *file[name].shape[1:]))


def packed_claim_of_60_gb(file: h5py.File, name: str, folder: Path) -> None:
    _again(file, name, shape=(60 << 30, *file[name].shape[1:]), chunks=True, compression="gzip")


def further_claim_of_60_gb(file: h5py.File, name: str, folder: Path) -> None:
    file.create_dataset("further", shape=(60 << 30,), dtype="u1")


def claim_without_rows(file: h5py.File, name: str, folder: Path) -> None:
    _again(file, name, shape=(0, 1 << 40, 1 << 20), chunks=(1, 1, 1), maxshape=(None, None, None))


def nothing(file: h5py.File, name: str, folder: Path) -> None:
    del file[name]
    file[name] = h5py.Empty("f4")


def one_value(file: h5py.File, name: str, folder: Path) -> None:
    del file[name]
    file[name] = 1.5


def pairs(file: h5py.File, name: str, folder: Path) -> None:
    _again(file, name, dtype=np.dtype([("a", "<f4"), ("b", "<i8")]))


def references(file: h5py.File, name: str, folder: Path) -> None:
    _again(file, name, dtype=h5py.ref_dtype)


def lists(file: h5py.File, name: str, folder: Path) -> None:
    _again(file, name, dtype=h5py.vlen_dtype(np.int32))


def bytes_for_numbers(file: h5py.File, name: str, folder: Path) -> None:
    _again(file, name, dtype="S8")


def group_of_that_name(file: h5py.File, name: str, folder: Path) -> None:
    del file[name]
    file.create_group(name)


# What names other files, or claims what it has not.
HARM: dict[str, Change] = {
    change.__name__: change
    for change in (
        external_storage,
        virtual_dataset,
        external_link,
        link_through_an_external_link,
        filter_of_a_plug_in,
        claim_of_60_gb,
        packed_claim_of_60_gb,
        further_claim_of_60_gb,
        claim_without_rows,
    )
}

# What is no array of numbers.
ODD: dict[str, Change] = {
    change.__name__: change
    for change in (nothing, one_value, pairs, references, lists, bytes_for_numbers, group_of_that_name)
}


def zero_the_heap(path: Path) -> None:
    """Put zeros where HDF5 keeps strings of any length: reading them, it never ends."""
    content = bytearray(path.read_bytes())
    at = content.index(b"GCOL")
    content[at + 16 : at + 116] = bytes(100)
    path.write_bytes(content)
