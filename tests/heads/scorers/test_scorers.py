import math

import pytest
import torch
import torch.nn.functional as F

from framebank.heads import SCORERS
from framebank.heads.class_texts import ClassTexts
from framebank.heads.scorers.attributes import Attributes
from framebank.heads.scorers.cross_block import CrossBlock
from framebank.heads.scorers.descriptions import Descriptions
from framebank.heads.scorers.parts import PART
from framebank.heads.scorers.rows import distinct_rows
from framebank.heads.scorers.semantic_units import SemanticUnits
from framebank.heads.scorers.vcs import Vcs
from framebank.heads.scorers.x_clip import XClip
from framebank.heads.training.build import build_model
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError
from framebank.tests.worlds.formulas import attributes_by_a_loop
from framebank.tests.worlds.heads import CLASSES, DIM, SPEC, prompts_of, texts_of

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")
every_scorer = pytest.mark.parametrize("name", SCORERS)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ragged_texts(num_classes=4, *, dim=8, seed=7):
    """Three, one, two ... rows for each class, of which the last of class 0 and the first of class 1 are the same."""
    counts = torch.tensor([3, 1, 2, 3, 1])[:num_classes]
    rows = F.normalize(draw(num_classes, 3, dim, seed=seed), dim=-1)
    rows[1, 0] = rows[0, 2]
    rows = rows * (torch.arange(3) < counts[:, None]).unsqueeze(-1)
    matrix = F.normalize(rows.sum(1), dim=-1)[None]
    return ClassTexts(matrix, rows, counts, 20.0)


def of(texts):
    """The rows of each class, as lists."""
    return [list(rows[:count]) for rows, count in zip(texts.rows, texts.counts.tolist(), strict=True)]


def shaken(module, *, by=0.3):
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.add_(by * draw(*parameter.shape, seed=number + 1))
    return module.eval()


def built(name, texts=None, **options):
    texts = texts or ragged_texts()
    torch.manual_seed(0)
    return shaken(SCORERS[name](texts.matrix.shape[-1], len(texts), texts, **options))


def batch(size=3, *, num_frames=6, dim=8):
    """Unit frames, a mask whose videos are of other lengths, and pooled."""
    frames = F.normalize(draw(size, num_frames, dim, seed=5), dim=-1)
    mask = torch.arange(num_frames) < torch.tensor([num_frames, 3, 1]).repeat(size)[:size, None]
    return frames, mask, draw(size, dim, seed=6)


@every_scorer
def test_shape_type_and_no_trace_of_the_batch(name):
    scorer, (frames, mask, pooled) = built(name), batch(PART + 3)
    logits = scorer(frames, mask, pooled)
    assert logits.shape == (PART + 3, 4)
    assert logits.dtype == torch.float32
    for row in (1, PART + 1):
        one = slice(row, row + 1)
        torch.testing.assert_close(scorer(frames[one], mask[one], pooled[one])[0], logits[row])


@every_scorer
def test_padding_changes_nothing(name):
    scorer, (frames, mask, pooled) = built(name), batch()
    expected = scorer(frames, mask, pooled)
    for filling in (0.0, 1e3, -7.0):
        other = frames.masked_fill(~mask.unsqueeze(-1), filling)
        torch.testing.assert_close(scorer(other, mask, pooled), expected)
    torch.testing.assert_close(scorer(frames[:1, :6], mask[:1], pooled[:1]), expected[:1])
    torch.testing.assert_close(scorer(frames[1:2, :3], mask[1:2, :3], pooled[1:2]), expected[1:2])


@every_scorer
def test_gradients(name):
    scorer, (frames, mask, pooled) = built(name), batch()
    frames, pooled = frames.requires_grad_(), pooled.requires_grad_()
    F.cross_entropy(scorer(frames, mask, pooled), torch.tensor([0, 1, 2])).backward()
    for label, parameter in scorer.named_parameters():
        assert parameter.grad is not None, label
        assert parameter.grad.abs().sum() > 0, label
    assert (frames.grad[~mask] == 0).all()
    assert (frames.grad[0].abs().sum(-1) > 0).all()
    assert (pooled.grad is not None) == (name != "vcs")


@every_scorer
def test_round_trip_of_a_run(tmp_path, name):
    recipe = Recipe(head="mean", classifier=name, loss="ce")
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(prompts_of()))
    shaken(model)
    run = Run(recipe, SPEC, CLASSES, model, "/some/store", {"texts": "names", "templates": ["{}"]})
    run.write(tmp_path / "run", log=[])
    found = Run.read(tmp_path / "run")
    frames, mask, _ = batch(dim=DIM)
    assert torch.equal(found.model(frames, mask), run.model(frames, mask))
    assert found.weights_hash == run.weights_hash


@every_scorer
def test_is_trained(world, tmp_path, name):
    recipe = Recipe(head="conv1d", classifier=name, loss="ce", epochs=3, batch_size=16, lr=3e-3)
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=world.prompts, device=CPU)
    log = list(job.epochs())
    assert log[-1].loss < log[0].loss
    run = job.save(tmp_path / "run", log=log)
    again = Run.read(tmp_path / "run").model
    x, mask = job.train.x, job.train.mask
    torch.testing.assert_close(again(x, mask), run.model(x, mask))


@pytest.mark.parametrize("name", [name for name in SCORERS if name != "attributes"])
def test_serves_other_classes(name):
    texts, other = ragged_texts(), ragged_texts(5, seed=8)
    scorer, fresh = built(name, texts), built(name, other)
    fresh.load_state_dict({**fresh.state_dict(), **dict(scorer.named_parameters())})
    scorer.set_texts(other)
    data = batch()
    assert scorer(*data).shape == (3, 5)
    assert torch.equal(scorer(*data), fresh(*data))


def test_attributes_refuse_another_lexicon():
    texts = ragged_texts()
    scorer = built("attributes", texts)
    before = scorer(*batch())
    scorer.set_texts(texts)
    assert torch.equal(scorer(*batch()), before)
    for other in (ragged_texts(5), ragged_texts(seed=8)):
        with pytest.raises(ValueError, match="were learned of 8 texts of 4 classes and can serve no others"):
            scorer.set_texts(other)


@every_scorer
def test_its_scale_keeps_within_bounds(name):
    texts = ragged_texts()
    scorer = SCORERS[name](8, 4, ClassTexts(texts.matrix, texts.rows, texts.counts, 117.0))
    assert scorer.scale(torch.tensor(1.0)).item() == pytest.approx(117)
    scorer.bound_scale()
    assert scorer.scale(torch.tensor(1.0)).item() == pytest.approx(100)


def test_distinct_rows_keep_each_text_once():
    texts = ragged_texts()
    units, members = distinct_rows(texts)
    assert units.shape == (8, 8)  # nine texts, two of which are the same
    assert members.sum(1).tolist() == [3, 1, 2, 3]
    assert sorted(members.sum(0).tolist()) == [1] * 7 + [2]
    for c, rows in enumerate(of(texts)):
        for row in rows:
            assert any(torch.allclose(row, units[m]) for m in members[c].nonzero().flatten().tolist())


# each against its formula, in loops


@torch.no_grad()
@pytest.mark.parametrize("unit_video", [False, True])
@pytest.mark.parametrize("head_share", [0.0, 0.4])
def test_vcs_by_the_formula(head_share, unit_video):
    texts = ragged_texts()
    scorer = Vcs(8, 4, texts, temperature=0.2, head_share=head_share, unit_video=unit_video)
    frames, mask, pooled = batch()
    found = scorer(frames, mask, pooled)
    for b in range(3):
        real = [frames[b, t] for t in range(6) if mask[b, t]]
        for c, words in enumerate(of(texts)):
            weights = [0.0] * len(real)
            for word in words:
                each = [math.exp(float(frame @ word) / 0.2) for frame in real]
                weights = [w + e / sum(each) / len(words) for w, e in zip(weights, each, strict=True)]
            video = sum(w * frame for w, frame in zip(weights, real, strict=True))
            cosine = float(video @ texts.matrix[0, c]) / (float(video.norm()) if unit_video else 1)
            head = float(F.cosine_similarity(pooled[b], texts.matrix[0, c], dim=0))
            expected = 20 * ((1 - head_share) * cosine + head_share * head)
            assert found[b, c].item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@torch.no_grad()
def test_vcs_of_a_high_temperature_is_the_mean_of_the_frames():
    texts = ragged_texts()
    frames, mask, pooled = batch()
    found = Vcs(8, 4, texts, temperature=1e6, unit_video=True)(frames, mask, pooled)
    mean = (frames * mask.unsqueeze(-1)).sum(1)
    torch.testing.assert_close(found, 20 * F.normalize(mean, dim=-1) @ texts.matrix[0].T, rtol=1e-4, atol=1e-4)


def attention(block, x, memory):
    """A CrossBlock of one head, of one query x (D,) and real memory, a list of (D,)."""

    def norm(part, v):
        return F.layer_norm(v, v.shape, part.weight, part.bias)

    query = block.query.weight @ norm(block.attention_norm, x)
    pairs = [(block.key_value.weight @ token).chunk(2) for token in memory]
    weights = [math.exp(float(query @ key) / math.sqrt(len(x))) for key, _ in pairs]
    read = sum(w / sum(weights) * value for w, (_, value) in zip(weights, pairs, strict=True))
    x = x + block.out.weight @ read + block.out.bias
    hidden = block.mlp[0].weight @ norm(block.mlp_norm, x) + block.mlp[0].bias
    return x + block.mlp[2].weight @ (hidden * torch.sigmoid(1.702 * hidden)) + block.mlp[2].bias


def one_head(scorer):
    for block in scorer.modules():
        if isinstance(block, CrossBlock):
            block.num_heads = 1
    return scorer


@torch.no_grad()
def test_x_clip_by_the_formula():
    texts = ragged_texts()
    scorer = one_head(shaken(XClip(8, 4, texts)))
    frames, mask, pooled = batch()
    found = scorer(frames, mask, pooled)
    assert len(scorer.blocks) == 2
    for b in range(3):
        memory = [
            F.layer_norm(frames[b, t], (8,), scorer.norm.weight, scorer.norm.bias) for t in range(6) if mask[b, t]
        ]
        for c in range(4):
            prompt = texts.matrix[0, c]
            for block in scorer.blocks:
                prompt = attention(block, prompt, memory)
            text = texts.matrix[0, c] + scorer.alpha * prompt
            expected = scorer.scale(F.cosine_similarity(pooled[b], text, dim=0))
            torch.testing.assert_close(found[b, c], expected, rtol=1e-3, atol=1e-3)


def test_x_clip_of_alpha_zero_is_the_text_classifier():
    texts = ragged_texts()
    scorer = XClip(8, 4, texts, alpha=0.0)
    frames, mask, pooled = batch()
    expected = 20 * F.normalize(pooled, dim=-1) @ texts.matrix[0].T
    torch.testing.assert_close(scorer(frames, mask, pooled), expected)
    assert XClip(8, 4, texts).alpha.tolist() == pytest.approx([0.1] * 8)


@torch.no_grad()
def test_semantic_units_by_the_formula():
    texts = ragged_texts()
    scorer = one_head(shaken(SemanticUnits(8, 4, texts, temperature=0.3, unit_share=0.25)))
    frames, mask, pooled = batch()
    found = scorer(frames, mask, pooled)
    units = []
    for row in (row for rows in of(texts) for row in rows):
        if not any(torch.allclose(row, unit) for unit in units):
            units.append(row)
    assert len(units) == 8
    owners = [[c for c, rows in enumerate(of(texts)) if any(torch.allclose(r, u) for r in rows)] for u in units]
    for b in range(3):
        real = [frames[b, t] for t in range(6) if mask[b, t]]
        memory = [F.layer_norm(frame, (8,), scorer.norm.weight, scorer.norm.bias) for frame in real]
        decoded, evidence = torch.zeros(8), [0.0] * 4
        for frame in real:
            scores = [math.exp(float(frame @ unit) / 0.3) for unit in units]
            selected = sum(s / sum(scores) * unit for s, unit in zip(scores, units, strict=True))
            for block in scorer.decoder:
                selected = attention(block, selected, memory)
            decoded = decoded + selected / len(real)
            for score, classes in zip(scores, owners, strict=True):
                for c in classes:
                    evidence[c] += score / sum(scores) / len(classes) / len(real)
        assert sum(evidence) == pytest.approx(1)
        video = F.normalize(pooled[b], dim=-1) + scorer.alpha * decoded
        for c in range(4):
            score = scorer.scale(F.cosine_similarity(video, texts.matrix[0, c], dim=0))
            expected = 0.75 * score + 0.25 * math.log(evidence[c])
            torch.testing.assert_close(found[b, c], expected, rtol=1e-3, atol=1e-3)


def test_semantic_units_of_no_share_and_alpha_zero_are_the_text_classifier():
    texts = ragged_texts()
    scorer = SemanticUnits(8, 4, texts, alpha=0.0, unit_share=0.0)
    frames, mask, pooled = batch()
    expected = 20 * F.normalize(pooled, dim=-1) @ texts.matrix[0].T
    torch.testing.assert_close(scorer(frames, mask, pooled), expected)


@torch.no_grad()
@pytest.mark.parametrize(
    ("together", "k"), [("mean", 3), ("log-mean-exp", 3), ("top-k", 1), ("top-k", 2), ("top-k", 9)]
)
@pytest.mark.parametrize("frame_share", [0.0, 0.3, 1.0])
def test_descriptions_by_the_formula(together, k, frame_share):
    texts = ragged_texts()
    scorer = Descriptions(8, 4, texts, together=together, k=k, temperature=0.2, frame_share=frame_share)
    frames, mask, pooled = batch()
    found = scorer(frames, mask, pooled)
    for b in range(3):
        real = [frames[b, t] for t in range(6) if mask[b, t]]
        for c, rows in enumerate(of(texts)):
            cosines = []
            for row in rows:
                each = [float(frame @ row) for frame in real]
                weights = [math.exp(cosine / 0.2) for cosine in each]
                moment = sum(w * cosine for w, cosine in zip(weights, each, strict=True)) / sum(weights)
                whole = float(F.cosine_similarity(pooled[b], row, dim=0))
                cosines.append((1 - frame_share) * whole + frame_share * moment)
            best = sorted(cosines, reverse=True)[:k]
            expected = {
                "mean": sum(cosines) / len(cosines),
                "log-mean-exp": 0.2 * math.log(sum(math.exp(cosine / 0.2) for cosine in cosines) / len(cosines)),
                "top-k": sum(best) / len(best),
            }[together]
            assert found[b, c].item() == pytest.approx(20 * expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"together": "max"}, "together 'max' is not known; expected one of mean, log-mean-exp, top-k"),
        ({"k": 0}, "k is 0; expected at least 1"),
    ],
)
def test_descriptions_refuse(options, message):
    with pytest.raises(DataError, match=message):
        built("descriptions", **options)


@torch.no_grad()
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_attributes_by_the_formula(share):
    texts = ragged_texts()
    scorer = shaken(Attributes(8, 4, texts, share=share))
    frames, mask, pooled = batch()
    found = scorer(frames, mask, pooled)
    expected = attributes_by_a_loop(scorer, frames, mask, pooled, distinct_rows(texts)[0], texts.matrix[0], share)
    assert found.flatten().tolist() == pytest.approx(expected, rel=1e-3, abs=1e-3)
