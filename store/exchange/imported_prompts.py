"""Import class embeddings that another program made as prompts; each class is found by its name."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from framebank.store.counts import counted, listed
from framebank.store.digest import digest
from framebank.store.errors import DataError
from framebank.store.exchange.arrays import EMBEDDING_NAMES, Arrays
from framebank.store.exchange.parquet import read_parquet_rows
from framebank.store.formats.settings import read_pairs
from framebank.store.formats.text import read_text
from framebank.store.prompts import PromptBank
from framebank.store.spec import FeatureSpec
from framebank.store.videos.labels import LabelSet, class_text

NAME_COLUMNS = ("names", "name", "classes", "class_names", "labels", "label", "texts", "text")


def look_up_prompts(
    labels: LabelSet,
    path: Path,
    *,
    array: str | None,
    names: str | None,
    renamed: Mapping[str, str],
    encoder: FeatureSpec,
    logit_scale: float,
) -> PromptBank:
    """Return the rows of `path` with the names of the classes, as their prompts.

    `path` is an npz, HDF5 or parquet file of embeddings (N, D) and names (N,); `renamed` says which classes have
    another name there. Names are compared as words; several rows of one name are several prompts of the class.
    DataError if a class has no row, or the embeddings do not have the encoder's width.
    """
    rows, found = _read_rows(path, array, names)
    if rows.shape != (len(found), encoder.dim):
        raise DataError(
            f"{path}: holds embeddings {rows.shape} and {len(found)} names; expected one row of {encoder.dim} a name"
        )
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(found):
        rows_of.setdefault(class_text(name), []).append(row)
    strange = sorted(set(renamed) - {class_text(name) for name in labels.names})
    if strange:
        raise DataError(
            f"--map names {strange[0]!r}, which is not one of the {counted(len(labels), 'class', 'classes')}"
        )
    chosen = [_rows_of(name, rows_of, renamed, path=path, count=len(found)) for name in labels.names]
    order = np.concatenate(chosen)
    embeddings = rows[order].astype(np.float32)
    if not np.isfinite(embeddings).all() or not np.abs(embeddings).max(axis=1).all():
        whole = np.isfinite(embeddings).all(axis=1) & embeddings.any(axis=1)  # (R,)
        wrong = [found[row] for row in order[~whole]]
        raise DataError(f"{path}: the embeddings of these names are only zeros or not finite: {listed(wrong)}")
    bank = PromptBank(
        labels=labels,
        texts=tuple(found[row] for row in order),
        embeddings=embeddings,
        template=np.zeros(len(order), dtype=np.int64),
        end=np.cumsum([len(own) for own in chosen]),
        # what made the texts is not known; the digest keeps figures of different files apart
        templates=(f"imported {digest({'': embeddings})[:12]}",),
        kind="names" if max(map(len, chosen)) == 1 else "descriptions",
        encoder=encoder,
        logit_scale=logit_scale,
    )
    bank.warn_of_near()
    return bank


def read_renamed(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return {words of the class: name in the file} of `CLASS=NAME` pairs; DataError where one is no pair."""
    expected = "CLASS=NAME, the name that the file has for the class"
    found = read_pairs(pairs, what="--map", expected=expected)
    for name, other in found.items():
        if not other:
            raise DataError(f"--map is {f'{name}='!r}; expected {expected}")
    return {class_text(name): other for name, other in found.items()}


def _rows_of(
    name: str, rows_of: Mapping[str, list[int]], renamed: Mapping[str, str], *, path: Path, count: int
) -> list[int]:
    wanted = renamed.get(class_text(name), name)
    if class_text(wanted) not in rows_of:
        raise DataError(
            f"{path}: has no {wanted!r} among its {counted(count, 'name')}; give the name that it has with --map "
            f"'{name}=NAME', or leave the class out of the labels"
        )
    return rows_of[class_text(wanted)]


def _read_rows(path: Path, array: str | None, names: str | None) -> tuple[np.ndarray, list[str]]:
    if path.suffix.lower() == ".parquet":
        rows, found = read_parquet_rows(path, array=array, names=names, usual=NAME_COLUMNS)
        if len({len(row) for row in rows}) > 1:
            raise DataError(f"{path}: its embeddings differ in width")
        return np.stack(rows) if rows else np.zeros((0, 0)), found
    arrays = Arrays(path)
    held = arrays[arrays.require(array, EMBEDDING_NAMES, option="--array")]
    if len(held.shape or ()) != 2 or held.dtype.kind not in "fiu":
        raise DataError(f"{path}: holds an array of {held.dtype}, shape {held.shape}; expected numbers (N, D)")
    embeddings = np.asarray(held[:])
    if len(arrays) == 1 and names is None:  # an npy: its names stand beside it, a line each
        beside = path.with_suffix(".txt")
        if not beside.exists():
            raise DataError(f"{path}: has no names; expected them in {beside.name} beside it, one for each line")
        return embeddings, read_text(beside).splitlines()
    return embeddings, arrays.strings(arrays.require(names, NAME_COLUMNS, option="--names"))
