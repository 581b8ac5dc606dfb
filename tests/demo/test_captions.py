import re

import numpy as np
import open_clip
import pytest

from framebank.demo.actions import ACTIONS, BY_NAME
from framebank.demo.captions import PHRASES, frame_facts
from framebank.demo.clips import CLIP_SPACE
from framebank.demo.frames import SPACES, draw_frames
from framebank.demo.motion import draw_motion
from framebank.demo.pose import Pose
from framebank.demo.stage import set_stage

NOVEL = [action.name for action in ACTIONS if action.novel]


@pytest.fixture(scope="module")
def scenes():
    return [draw_frames(number, space=1, seed=0, image_size=64) for number in range(250)]


@pytest.fixture(scope="module")
def captions(scenes):
    return [caption for scene in scenes for frame in scene.captions for caption in frame]


def test_no_caption_names_a_novel_class(captions):
    assert len(captions) == 6000
    stems = {re.sub(r"(ing|s)$", "", word) for name in NOVEL for word in name.split()}
    assert {"bow", "jump", "jack", "squatt", "punch"} == stems
    words = {word.strip(",") for caption in captions for word in caption.text.split()}
    assert not [word for word in words if word.startswith(tuple(stems)) or word == "squat"]


def test_captions_name_the_other_twelve(captions):
    told = " / ".join(caption.text for caption in captions)
    assert all(action.name in told for action in ACTIONS if not action.novel)


def test_the_motions_of_novel_classes_are_never_drawn(scenes):
    assert not [fact for scene in scenes for facts in scene.facts for fact in facts if any(n in fact for n in NOVEL)]


def test_a_caption_of_a_pair_says_either_name_whatever_the_direction(captions):
    for name in ("sitting down", "picking up", "falling down"):
        both = {name, BY_NAME[name].reverse}
        of_pair = [
            caption for caption in captions if any(fact == f"action={'|'.join(sorted(both))}" for fact in caption.facts)
        ]
        assert both == {name for name in both for caption in of_pair if name in caption.text}


def test_a_caption_is_true_of_its_frame(scenes):
    for scene in scenes:
        for facts, captions in zip(scene.facts, scene.captions, strict=True):
            assert all(caption.facts <= facts for caption in captions)


def test_frames_never_come_from_the_clips_seeds():
    assert CLIP_SPACE not in SPACES
    with pytest.raises(ValueError, match="space 0"):
        draw_frames(0, space=CLIP_SPACE, seed=0, image_size=64)


def test_equal_seeds_give_equal_frames(scenes):
    again = draw_frames(3, space=1, seed=0, image_size=64)
    np.testing.assert_array_equal(again.images, scenes[3].images)
    assert again.captions == scenes[3].captions
    assert not np.array_equal(draw_frames(3, space=2, seed=0, image_size=64).images, scenes[3].images)


def test_every_word_of_the_descriptions_is_met_in_captions(captions):
    met = {word.strip(",") for caption in captions for word in caption.text.split()}
    told = {word.strip(",") for action in ACTIONS for text in action.descriptions for word in text.split()}
    assert told <= met | {word for phrases in PHRASES.values() for phrase in phrases for word in phrase.split()}


def test_captions_and_descriptions_fit_the_context(captions):
    tokens = open_clip.tokenize([caption.text for caption in captions])
    assert int(tokens.argmax(1).max()) < 32
    descriptions = [text for action in ACTIONS for text in action.descriptions]
    assert int(open_clip.tokenize(descriptions).argmax(1).max()) < 32


@pytest.mark.parametrize(
    ("name", "phase", "expected"),
    [
        ("sitting down", -1, {"level=seat", "prop=chair"}),
        ("picking up", 0, {"level=upright", "arms=down+down", "box=floor"}),
        ("picking up", -1, {"level=upright", "arms=forward+forward", "box=held"}),
        ("falling down", -1, {"level=lying"}),
        ("bowing", 30, {"level=upright", "lean=bent"}),
        ("lifting weights", 0, {"level=upright", "prop=barbell", "view=front"}),
    ],
)
def test_facts_of_known_frames(name, phase, expected):
    action = BY_NAME[name]
    motion = draw_motion(action, take="whole", num_frames=60, rng=np.random.default_rng(0))
    scene = set_stage(motion, action=action, rng=np.random.default_rng(0))
    assert expected <= frame_facts(scene, phase % 60, action=name)
    assert Pose().array().shape == (11,)
