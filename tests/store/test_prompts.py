from dataclasses import replace

import h5py
import numpy as np
import pytest

from framebank.store import DataError, LabelSet, PromptBank
from framebank.store.errors import DataWarning
from framebank.tests.worlds.store import DIM, SPEC, edited


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture
def bank():
    """Two templates; one description, then three, then two."""
    counts = np.array([1, 3, 2])
    rows = 2 * counts.sum()
    return PromptBank(
        labels=LabelSet(("walk", "run é", "sit")),
        texts=tuple(f"text {i} é" for i in range(rows)),
        embeddings=np.random.default_rng(0).normal(size=(rows, DIM)).astype(np.float32),
        template=np.tile([0, 1], counts.sum()),
        end=np.cumsum(2 * counts),
        templates=("a {}", "b {}"),
        kind="descriptions",
        encoder=SPEC,
        logit_scale=12.5,
    )


def assert_same(a, b):
    for name in ("embeddings", "template", "end"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("labels", "texts", "templates", "kind", "encoder", "logit_scale"):
        assert getattr(a, name) == getattr(b, name)


def test_round_trip(bank, tmp_path):
    bank.write(tmp_path / "p.h5")
    assert_same(PromptBank.read(tmp_path / "p.h5"), bank)
    assert [path.name for path in tmp_path.iterdir()] == ["p.h5"]


def test_pooling_equals_loops(bank):
    starts = [0, *bank.end[:-1]]
    for c, (start, end) in enumerate(zip(starts, bank.end, strict=True)):
        own, template = unit(bank.embeddings[start:end]), bank.template[start:end]
        np.testing.assert_allclose(bank.class_embeddings()[c], unit(own.mean(0)), atol=1e-6)
        for t in range(2):
            np.testing.assert_allclose(bank.per_template()[t, c], unit(own[template == t].mean(0)), atol=1e-6)
        rows, counts = bank.padded()
        assert counts[c] == end - start
        np.testing.assert_allclose(rows[c, : counts[c]], own, atol=1e-6)
        assert not rows[c, counts[c] :].any()


def test_select(bank):
    chosen = bank.select(("Sit", "walk"))
    assert chosen.labels.names == ("Sit", "walk")
    assert chosen.end.tolist() == [4, 6]
    np.testing.assert_allclose(chosen.class_embeddings(), bank.class_embeddings()[[2, 0]], atol=1e-6)
    assert_same(bank.select(bank.labels.names), bank)


def test_rows_that_do_not_add_up(bank):
    with pytest.raises(ValueError, match="11 texts with embeddings"):
        replace(bank, texts=bank.texts[1:])
    with pytest.raises(ValueError, match="do not end at"):
        replace(bank, end=bank.end[:-1])
    with pytest.raises(ValueError, match="'sit' does not have every template"):
        replace(bank, template=np.where(np.arange(12) >= 8, 0, bank.template))


def test_bad_files(bank, tmp_path):
    path = tmp_path / "p.h5"
    with pytest.raises(DataError, match=r"p\.h5: no such file"):
        PromptBank.read(path)
    with h5py.File(path, "w") as file:
        file["x"] = [1]
    with pytest.raises(DataError, match=r"p\.h5: holds no prompts; expected a file made by `framebank prompts`"):
        PromptBank.read(path)
    for name in ("encoder", "kind", "logit_scale"):
        bank.write(path)
        with edited(path) as file:
            del file.attrs[name]
        with pytest.raises(DataError, match=r"p\.h5: is damaged"):
            PromptBank.read(path)
    bank.write(path)
    with edited(path) as file:
        file["end"][-1] = 3
    with pytest.raises(DataError, match=r"p\.h5: is damaged .*do not end at"):
        PromptBank.read(path)


def test_classes_that_are_nearly_one_are_told(bank, recwarn):
    bank.warn_of_near()
    assert not recwarn.list
    names = tuple(f"class {number}" for number in range(5))
    alike = replace(
        bank,
        labels=LabelSet(names),
        texts=names,
        embeddings=np.ones((5, DIM), dtype=np.float32),
        template=np.zeros(5, dtype=np.int64),
        end=np.arange(1, 6),
        templates=("{}",),
    )
    with pytest.warns(DataWarning) as caught:
        alike.warn_of_near()
    told = str(caught[0].message)
    assert told.startswith("10 pairs of classes have descriptions that are nearly one text to fake (cosine 0.999 or")
    assert "'class 0' and 'class 1' (1.0000)" in told
    assert "and 5 more" in told
