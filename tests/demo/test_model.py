import av
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from framebank.demo.actions import ACTIONS
from framebank.demo.clips import HELD_OUT_SPACE, draw_clip, list_clips
from framebank.demo.frames import draw_frames
from framebank.demo.gates import gate_lines, measure
from framebank.demo.train_clip import image_encoder, text_encoder
from framebank.demo.weights import UNKNOWN, Vocabulary, new_model, save_weights
from framebank.store import Manifest
from framebank.tests.places import ROOT

DEMO = ROOT / "demo"
WEIGHTS = DEMO / "tiny-clip.pt"
NAMES = [action.name for action in ACTIONS]


def load(precision):
    open_clip.add_model_config(DEMO / "tiny-clip.json")
    return open_clip.create_model("tiny-clip", pretrained=str(WEIGHTS), precision=precision).eval()


@pytest.fixture(scope="module")
def model():
    return load("fp32")


def test_weights_are_small_and_plain():
    assert WEIGHTS.stat().st_size < 4_000_000
    state = torch.load(WEIGHTS, weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    table = state["token_embedding.weight"]
    assert table.shape[0] == 49408
    assert len(table.unique(dim=0)) < 300


@pytest.fixture(scope="module")
def rendered():
    """Eight frames of each of 64 test clips."""
    found = {}
    for clip in list_clips(num_train=0, num_test=4):
        scene = draw_clip(clip)
        found[clip] = [Image.fromarray(scene.render(int((i + 0.5) * len(scene) / 8))) for i in range(8)]
    return found


def test_gates_are_passed_on_other_scenes(model):
    scenes = [draw_frames(number, space=HELD_OUT_SPACE, seed=1, image_size=64) for number in range(120)]
    figures = measure(scenes, encode_image=image_encoder(model), encode_text=text_encoder(model))
    assert all(figure.value > figure.least - 0.05 for figure in figures), gate_lines(figures)


def class_embeddings(model):
    encode = text_encoder(model)
    return normalize(torch.stack([encode(action.descriptions).mean(0) for action in ACTIONS]), dim=-1)


def embed(model, frames):
    transform = preprocess(model)
    images = torch.stack([transform(frame) for frame in frames])
    with torch.inference_mode():
        embeddings = model.encode_image(images.to(model.visual.conv1.weight.dtype)).float()
    return normalize(embeddings, dim=-1)


def zero_shot_hits(model, clips, frames_of):
    classes = class_embeddings(model)
    answers = [int((embed(model, frames_of(clip)).mean(0) @ classes.T).argmax()) for clip in clips]
    return np.array([NAMES[answer] == clip.label for clip, answer in zip(clips, answers, strict=True)])


def preprocess(model):
    visual = model.visual
    return open_clip.image_transform(visual.image_size, is_train=False, mean=visual.image_mean, std=visual.image_std)


def test_zero_shot_by_descriptions_on_rendered_frames(model, rendered):
    assert zero_shot_hits(model, list(rendered), rendered.get).mean() >= 0.5


@pytest.mark.parametrize("precision", ["bf16", "pure_bf16"])
def test_cosines_are_those_of_float32(model, rendered, precision):
    """So are the gates and the answers: the tests of them need no other precision."""
    frames = [frames[place] for frames in list(rendered.values())[::4] for place in (2, 5)]
    shorter = load(precision)
    found = embed(shorter, frames) @ class_embeddings(shorter).float().T
    expected = embed(model, frames) @ class_embeddings(model).T
    assert (found - expected).abs().max() < 0.02
    assert (found.argmax(1) == expected.argmax(1)).float().mean() >= 0.9


def test_unknown_words_do_no_harm(model):
    encode = text_encoder(model)
    known = encode(["a person lying on the floor", "a person sitting on a chair", "a person in a red shirt"])
    strange = encode(
        ["a photograph of a person lying on the floor", "somebody sitting on a chair", "zebra person in a red shirt"]
    )
    assert (strange @ known.T).argmax(1).tolist() == [0, 1, 2]


def test_saved_weights_share_one_row_between_unused_tokens(tmp_path):
    open_clip.add_model_config(DEMO / "tiny-clip.json")
    vocabulary = Vocabulary(open_clip.get_tokenizer("tiny-clip")(["a person waving"]))
    save_weights(new_model(vocabulary), vocabulary, tmp_path / "new.pt")
    table = torch.load(tmp_path / "new.pt", weights_only=True)["token_embedding.weight"]
    assert len(table.unique(dim=0)) == len(vocabulary) == 2 + 5  # start, a, person, waving, end
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new.pt"]


def test_vocabulary_numbers_keep_the_end_the_largest():
    tokens = torch.tensor([[49406, 320, 2533, 49407, 0]])
    vocabulary = Vocabulary(tokens)
    assert vocabulary.number(tokens).tolist() == [[4, 2, 3, 5, 0]]
    assert vocabulary.number(torch.tensor([[49406, 999, 49407]])).tolist() == [[4, UNKNOWN, 5]]


@pytest.mark.slow
def test_zero_shot_by_descriptions_on_the_clips(model, clips):
    videos = Manifest.read(clips / "manifest.csv").videos

    def frames_of(video):
        with av.open(str(video.path)) as container:
            frames = [frame.to_image() for frame in container.decode(video=0)]
        return [frames[int((i + 0.5) * len(frames) / 16)] for i in range(16)]

    hits = zero_shot_hits(model, videos, frames_of)
    novel = np.isin([video.label for video in videos], [action.name for action in ACTIONS if action.novel])
    assert hits.mean() >= 0.5
    assert hits[novel].mean() >= 0.5
