"""The published forms of classifiers, scorers and learned texts, written out, beside ours with the same weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads import CLASSIFIERS, SCORERS, TEXTS
from framebank.heads.class_texts import ClassTexts
from framebank.heads.training.build import build_model
from framebank.heads.training.recipe import read_recipe
from framebank.tests.worlds.formulas import shaken
from framebank.tests.worlds.published.parts import B, C, D, T, apart, attend, draw, over_frames, quick_gelu
from framebank.tests.worlds.tower import network_of, tokenize, tower_of


def texts(*, rows: int = 1, norms: bool = False) -> ClassTexts:
    words = F.normalize(draw(C, rows, D, seed=4), dim=-1)
    lengths = 5 + draw(C, seed=5).abs() if norms else torch.ones(C)
    matrix = F.normalize(words.mean(1), dim=-1)[None]
    return ClassTexts(matrix, words, torch.full((C,), rows), 20.0, (), lengths)


def zero_shot() -> float:
    given, video = texts(), draw(B, D)
    expected = 20 * F.normalize(video, dim=-1) @ given.matrix[0].T
    return apart(CLASSIFIERS["text"](D, C, given)(video), expected)


def actionclip_test() -> float:
    """The probabilities of the templates, each a softmax over the classes, averaged."""
    templates, video = F.normalize(draw(5, C, D, seed=4), dim=-1), draw(B, D)
    given = ClassTexts.of_matrix(templates)
    each = [(100 * F.normalize(video, dim=-1) @ template.T).softmax(-1) for template in templates]
    return apart(CLASSIFIERS["text"](D, C, given)(video).exp(), sum(each) / 5)


def text4vis() -> float:
    given, video = texts(), draw(B, D)
    expected = F.linear(F.normalize(video, dim=-1), given.matrix[0]) * 20
    return apart(CLASSIFIERS["text-linear"](D, C, given)(video), expected)


def tip_adapter(name: str) -> float:
    given, views, target = texts(), draw(6, 10, D, seed=8), torch.tensor([0, 0, 1, 2, 3, 3])
    ours, video = CLASSIFIERS[name](D, C, given, alpha=1.17, beta=5.5, search=False), draw(B, D)
    ours.fit(views, target, val=None)
    keys = F.normalize(views.mean(1), dim=-1)  # the mean of the views as they are, then unit
    f = F.normalize(video, dim=-1)
    cached = (-5.5 * (1 - f @ keys.T)).exp() @ F.one_hot(target, C).float()
    return apart(ours(video), 20 * f @ given.matrix[0].T + 1.17 * cached)


def twlv_knn() -> float:
    rows, target, video = draw(40, 1, D, seed=8), torch.arange(40) % C, draw(B, D)
    ours = CLASSIFIERS["knn"](D, C, None, k=7, temperature=0.1)
    ours.fit(rows, target, val=None)
    cosines = F.normalize(video, dim=-1) @ F.normalize(rows[:, 0], dim=-1).T
    votes = torch.zeros(B, C)
    for b in range(B):
        for place in cosines[b].argsort(descending=True)[:7]:
            votes[b, target[place]] += torch.exp(cosines[b, place] / 0.1)
    return apart(ours(video).exp(), (votes / votes.sum(1, keepdim=True)).clamp(min=1e-12))


def bike(frames: Tensor, words: Tensor, classes: Tensor) -> Tensor:
    """VCS of frames (B, T, D), words (C, W, D) and class embeddings (C, D): nothing is divided by the norm of v."""
    f, s, c = (F.normalize(x, dim=-1) for x in (frames, words, classes))
    attention = torch.einsum("cwd,btd->cbwt", s, f).div(0.01).softmax(-1).mean(2)
    return torch.einsum("cbt,btd,cd->bc", attention, f, c)


def bike_scorer() -> float:
    given, frames = texts(rows=5), F.normalize(draw(B, T, D), dim=-1)
    ours = SCORERS["vcs"](D, C, given)
    expected = 20 * bike(frames, given.rows, given.matrix[0])
    return apart(ours(frames, torch.ones(B, T, dtype=torch.bool), None), expected)


def bike_under_the_transformer() -> float:
    """The recipe, frames as they are stored: six blocks over the frames, added to them, and VCS."""
    given, frames = texts(rows=5), 10 * draw(B, T, D)
    model = shaken(build_model(read_recipe("bike"), dim=D, num_classes=C, texts=given))
    assert len(model.head.blocks) == 6
    made = frames + over_frames(model.head, frames, 2)
    expected = model.classifier.scale(bike(made, given.rows, given.matrix[0]))
    return apart(model(frames, torch.ones(B, T, dtype=torch.bool)), expected)


def x_clip() -> float:
    given, patches, video = texts(norms=True), draw(B, T, D), draw(B, D, seed=2)
    ours = shaken(SCORERS["x-clip"](D, C, given))
    classes = given.matrix[0] * given.norms[:, None]  # with the norms that the text tower gave them
    memory, prompt = ours.norm(patches), classes.expand(B, C, D)
    for block in ours.blocks:
        k, v = block.key_value(memory).chunk(2, dim=-1)
        prompt = prompt + block.out(attend(block.query(block.attention_norm(prompt)), k, v, D // 64))
        prompt = prompt + block.mlp[2](quick_gelu(block.mlp[0](block.mlp_norm(prompt))))
    prompted = F.normalize(classes + ours.alpha * prompt, dim=-1)
    expected = ours.scale(torch.einsum("bd,bcd->bc", F.normalize(video, dim=-1), prompted))
    return apart(ours(patches, torch.ones(B, T, dtype=torch.bool), video), expected)


def task_res() -> float:
    ours, given = shaken(TEXTS["residual"](D, C)), draw(C, D)
    return apart(ours(given, torch.arange(C)), given + 0.5 * ours.offsets)


def clip_adapter() -> float:
    ours, given = shaken(TEXTS["adapter"](D, C)), draw(C, D)
    mlp = F.relu(F.relu(given @ ours.down.weight.T) @ ours.up.weight.T)
    return apart(ours(given, torch.arange(C)), 0.2 * mlp + 0.8 * given)


NAMES = ("archery", "a man riding a bicycle", "juggling balls")


def encode_tokens(network: nn.Module, embedded: Tensor, end: int) -> Tensor:
    x = embedded + network.positional_embedding[: embedded.shape[1]]
    size = x.shape[1]
    x = network.transformer(x, attn_mask=network.attn_mask[:size, :size])
    return network.ln_final(x)[:, end] @ network.text_projection


def coop() -> float:
    """Start, 16 vectors shared by the classes, the name, a full stop, end."""
    network, ours = network_of(D), TEXTS["context"](D, 3, num_prefix=6)
    ours.meet(tower_of(D), NAMES)
    expected = []
    for name in NAMES:
        tokens = tokenize([f"{name}."])
        length = int((tokens[0] != 0).sum())
        words = network.token_embedding(tokens)[:, :length]
        sentence = torch.cat([words[:, :1], ours.vectors[None], words[:, 1:]], dim=1)
        expected.append(encode_tokens(network, sentence, length + 5))
    return apart(ours(torch.zeros(3, D), torch.arange(3)), torch.cat(expected))


def a5_prompts() -> float:
    """One table of a row for each place; the start, the name after the prefix and the end overwrite theirs."""
    network, ours = network_of(D), TEXTS["context"](D, 3, num_prefix=4, num_suffix=5, by_position=True, stop=False)
    ours.meet(tower_of(D), NAMES)
    expected = []
    for name in NAMES:
        tokens = tokenize([name])
        words, end = network.token_embedding(tokens)[0], int(tokens[0].argmax())
        sentence = ours.vectors.clone()
        sentence[0], sentence[5 : 4 + end], sentence[4 + end + 5] = words[0], words[1:end], words[end]
        expected.append(encode_tokens(network, sentence[None], 4 + end + 5))
    return apart(ours(torch.zeros(3, D), torch.arange(3)), torch.cat(expected))
