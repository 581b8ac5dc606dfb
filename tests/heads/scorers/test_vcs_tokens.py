import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from framebank.heads.class_texts import ClassTexts
from framebank.heads.evaluation.evaluate import evaluate_run
from framebank.heads.exchange.export import export_onnx
from framebank.heads.scorers.tokens import PART, encode_words
from framebank.heads.scorers.vcs import Vcs
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe, read_recipe
from framebank.heads.training.run import Run
from framebank.store import DataError
from framebank.tests.worlds.heads import CLASSES, DIM, prompts_of, texts_of
from framebank.tests.worlds.tower import network_of, tokenize, tower_of

CPU = torch.device("cpu")
SENTENCES = ("archery", "a man riding a bicycle", "juggling balls")
TOKENS = {"classifier.words": "tokens"}

pytestmark = pytest.mark.usefixtures("one_thread")


def outputs_of(sentence):
    """What the network says at each place of a sentence, unit, by its own parts; and how many tokens it has."""
    network, tokens = network_of(DIM), tokenize([sentence])
    with torch.no_grad():
        x = network.token_embedding(tokens) + network.positional_embedding
        x = network.ln_final(network.transformer(x, attn_mask=network.attn_mask)) @ network.text_projection
    return F.normalize(x[0], dim=-1), int(tokens[0].argmax()) - 1


def texts_with(sentences=SENTENCES, *, seed=7):
    generator = torch.Generator().manual_seed(seed)
    rows = F.normalize(torch.randn(len(sentences), 2, DIM, generator=generator), dim=-1)
    matrix = F.normalize(rows.sum(1), dim=-1)[None]
    return ClassTexts(matrix, rows, torch.full((len(sentences),), 2), 20.0, tuple(sentences))


def batch(size=3, *, num_frames=6):
    frames = F.normalize(torch.randn(size, num_frames, DIM, generator=torch.Generator().manual_seed(5)), dim=-1)
    mask = torch.arange(num_frames) < torch.tensor([num_frames, 3, 1]).repeat(size)[:size, None]
    return frames, mask, frames.mean(1)


def scorer_of(texts=None, **options):
    texts = texts or texts_with()
    scorer = Vcs(DIM, len(texts), texts, words="tokens", **options)
    scorer.set_texts(texts, tower=tower_of(DIM))
    return scorer


def test_words_are_the_outputs_between_start_and_end():
    words, spoken = encode_words(tower_of(DIM), SENTENCES)
    assert words.shape == (3, 5, DIM)
    assert spoken.sum(1).tolist() == [1, 5, 3]  # of "juggling" there are two
    for own, said, sentence in zip(words, spoken, SENTENCES, strict=True):
        expected, count = outputs_of(sentence)
        torch.testing.assert_close(own[said], expected[1 : 1 + count], atol=1e-5, rtol=1e-4)
        assert not own[~said].any()


def test_words_of_a_sentence_do_not_depend_on_the_others():
    names = [f"{sentence} {'again ' * (number % 4)}" for number in range(44) for sentence in SENTENCES]
    assert len(names) > PART
    words, spoken = encode_words(tower_of(DIM), names)
    for place in (0, 1, PART - 1, PART, len(names) - 1):
        alone, said = encode_words(tower_of(DIM), names[place : place + 1])
        torch.testing.assert_close(words[place][spoken[place]], alone[0][said[0]], atol=1e-5, rtol=1e-4)


def test_a_sentence_that_is_cut_fills_the_tower():
    words, spoken = encode_words(tower_of(DIM), ["one " * 40, "two"])
    assert words.shape == (2, 22, DIM)  # 24 places, of which start and end are two
    assert spoken.sum(1).tolist() == [22, 1]


def test_a_sentence_without_words_is_refused():
    with pytest.raises(DataError, match="the text ' ' has no token between start and end; expected words"):
        encode_words(tower_of(DIM), ["archery", " "])


@torch.no_grad()
@pytest.mark.parametrize("head_share", [0.0, 0.4])
def test_scores_by_the_formula(head_share):
    texts = texts_with()
    found = scorer_of(texts, temperature=0.2, head_share=head_share)(*batch())
    frames, mask, pooled = batch()
    for b in range(3):
        real = [frames[b, t] for t in range(6) if mask[b, t]]
        for c, sentence in enumerate(SENTENCES):
            outputs, count = outputs_of(sentence)
            weights = [0.0] * len(real)
            for word in outputs[1 : 1 + count]:
                each = [math.exp(float(frame @ word) / 0.2) for frame in real]
                weights = [w + e / sum(each) / count for w, e in zip(weights, each, strict=True)]
            video = sum(w * frame for w, frame in zip(weights, real, strict=True))
            cosine = float(video @ texts.matrix[0, c])
            head = float(F.cosine_similarity(pooled[b], texts.matrix[0, c], dim=0))
            expected = 20 * ((1 - head_share) * cosine + head_share * head)
            assert found[b, c].item() == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_padding_of_frames_and_of_words_changes_nothing():
    scorer, (frames, mask, pooled) = scorer_of(), batch()
    expected = scorer(frames, mask, pooled)
    torch.testing.assert_close(scorer(frames.masked_fill(~mask[..., None], 1e3), mask, pooled), expected)
    scorer.words = scorer.words.masked_fill(~scorer.spoken[..., None], 1e3)
    torch.testing.assert_close(scorer(frames, mask, pooled), expected)


def test_one_token_that_is_the_text_is_the_text_form():
    sentences = ("archery", "bowling", "golf")
    words, spoken = encode_words(tower_of(DIM), sentences)
    assert spoken.shape == (3, 1)
    texts = ClassTexts(words.transpose(0, 1), words, torch.ones(3, dtype=torch.int64), 20.0, sentences)
    plain = Vcs(DIM, 3, texts)
    assert torch.equal(scorer_of(texts)(*batch()), plain(*batch()))


def test_only_the_scale_is_learned():
    assert [name for name, _ in scorer_of().named_parameters()] == ["scale.log_scale"]


def test_refuses():
    with pytest.raises(DataError, match="words 'letters' are not known; expected one of texts, tokens"):
        Vcs(DIM, 3, texts_with(), words="letters")
    with pytest.raises(ValueError, match="the tokens of 3 classes were read by the text tower, which the run lack"):
        scorer_of().set_texts(texts_with())
    with pytest.raises(ValueError, match="the classes have embeddings and no sentences, whose tokens could be read"):
        scorer_of().set_texts(ClassTexts.of_matrix(torch.eye(3, DIM)), tower=tower_of(DIM))


def test_the_first_text_of_each_class_is_its_sentence():
    assert texts_of(prompts_of()).sentences == tuple(f"{name} 0" for name in CLASSES)
    assert texts_of(prompts_of().select(CLASSES[::-1])).to(CPU).sentences[0] == "fall 0"
    with pytest.raises(ValueError, match="expected a sentence for each of 3 classes, or none, got 2"):
        replace(texts_with(), sentences=SENTENCES[:2])


def job_of(world, recipe, **options):
    return TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=world.prompts, device=CPU, **options)


def test_a_run_scores_without_the_tower(world, tmp_path):
    recipe = read_recipe("bike").with_settings({**TOKENS, "epochs": "2", "min_steps": "0"})
    job = job_of(world, recipe, tower=lambda: tower_of(DIM))
    run = job.save(tmp_path / "run", log=list(job.epochs()))
    again = Run.read(tmp_path / "run")
    words, spoken = encode_words(tower_of(DIM), [f"{name} 0" for name in CLASSES])
    torch.testing.assert_close(again.model.classifier.words, words)
    assert torch.equal(again.model.classifier.spoken, spoken)
    frames, mask, _ = batch()
    assert torch.equal(again.model(frames, mask), run.model(frames, mask))
    plain = job_of(world, read_recipe("bike"))
    assert not torch.allclose(plain.model(frames, mask), run.model(frames, mask), atol=1e-2)
    test = world.manifest.split("test")
    report = evaluate_run(again, world.store, test, split="test", device=CPU, folder=tmp_path / "run")
    assert report["videos_evaluated"] == 22


def test_other_classes_need_the_tower(world, tmp_path):
    recipe = read_recipe("bike").with_settings(TOKENS)
    job_of(world, recipe, tower=lambda: tower_of(DIM)).save(tmp_path / "run", log=[])
    run = Run.read(tmp_path / "run")
    for classes in (CLASSES, CLASSES[:2]):
        with pytest.raises(DataError, match="there: the tokens of 4 classes were read by the text tower, which th"):
            run.with_prompts(prompts_of(classes), where="there")
    fewer = run.with_prompts(prompts_of().select(CLASSES[1:3]), where="there", tower=lambda: tower_of(DIM))
    frames, mask, _ = batch()
    torch.testing.assert_close(fewer.model(frames, mask), run.model(frames, mask)[:, 1:3], atol=1e-4, rtol=1e-4)
    assert run.model(frames, mask).shape == (3, 4)  # the run itself is as it was


def test_is_trained_under_a_head(world):
    recipe = Recipe(
        head="conv1d", classifier="vcs", classifier_options={"words": "tokens", "head_share": 0.5}, loss="ce", epochs=3
    )
    job = job_of(world, recipe, tower=lambda: tower_of(DIM))
    before = job.model.classifier.words.clone()
    log = list(job.epochs())
    assert log[-1].loss < log[0].loss
    assert torch.equal(job.model.classifier.words, before)


def test_needs_the_tower(world):
    with pytest.raises(DataError, match=r"classifier\.words = 'tokens' needs the text tower of the encoder, which was"):
        job_of(world, read_recipe("bike").with_settings(TOKENS))


def test_words_that_are_texts_need_no_tower(world):
    def unread():
        raise AssertionError

    job_of(world, read_recipe("bike"), tower=unread)


@pytest.mark.slow
def test_onnx(world, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    job = job_of(world, read_recipe("bike").with_settings(TOKENS), tower=lambda: tower_of(DIM))
    job.save(tmp_path / "run", log=[])
    assert export_onnx(Run.read(tmp_path / "run"), tmp_path / "head.onnx") < 1e-3
