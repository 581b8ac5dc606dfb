"""Captioned frames for training and testing the demo's encoder."""

import io
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from framebank.demo.actions import ACTIONS, STAND, Action
from framebank.demo.backdrop import Bytes
from framebank.demo.captions import Caption, draw_caption, frame_facts
from framebank.demo.clips import HELD_OUT_SPACE, TRAIN_SPACE
from framebank.demo.motion import TAKES, Motion, draw_motion
from framebank.demo.pose import Floats, Pose
from framebank.demo.scene import CANVAS, Scene
from framebank.demo.stage import set_stage

FRAMES_PER_SCENE = 4
CAPTIONS_PER_FRAME = 6
# The spaces of the seeds of encoder frames. They never overlap with those of the clips.
SPACES = (TRAIN_SPACE, HELD_OUT_SPACE)


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of one scene: `images` (4, S, S, 3), `joints` (4, 34) in half pictures, and what is true of each."""

    images: Bytes
    joints: NDArray[np.float32]
    facts: tuple[frozenset[str], ...]
    captions: tuple[tuple[Caption, ...], ...]


def draw_frames(number: int, *, space: int, seed: int, image_size: int) -> Frames:
    """Draw four captioned frames of scene `number`: of an action that captions may name, or in random poses.

    The motions of the novel classes are never drawn. The frames share only parts of their poses.
    """
    if space not in SPACES:
        raise ValueError(f"space {space}: frames are drawn from {SPACES}")
    rng = np.random.default_rng([space, seed, number])
    named = [action for action in ACTIONS if not action.novel]
    if number % 2:
        action = named[rng.integers(len(named))]
        motion = _glimpses(draw_motion(action, take=TAKES[rng.integers(3)], num_frames=60, rng=rng), rng)
    else:
        action = Action("", (), (STAND,), (), front=rng.random() < 0.4, prop=str(rng.choice(_PROPS)))
        if action.front:
            action = replace(action, prop="")
        motion = random_motion(action, rng=rng)
    scene = set_stage(motion, action=action, rng=rng)
    facts = tuple(frame_facts(scene, frame, action=action.name) for frame in range(len(scene)))
    return Frames(
        images=np.stack([_seen(scene.render(frame), image_size, rng) for frame in range(len(scene))]),
        joints=np.stack([_in_picture(scene, frame) for frame in range(len(scene))]),
        facts=facts,
        captions=tuple(tuple(draw_caption(f, rng=rng) for _ in range(CAPTIONS_PER_FRAME)) for f in facts),
    )


def _glimpses(motion: Motion, rng: np.random.Generator) -> Motion:
    chosen = np.sort(rng.choice(len(motion.channels), FRAMES_PER_SCENE, replace=False))
    return Motion(motion.channels[chosen], motion.held[chosen])


def _in_picture(scene: Scene, frame: int) -> NDArray[np.float32]:
    to_pixels = scene.to_pixels(frame)
    pixels = scene.joints[frame] @ to_pixels[:, :2].T + to_pixels[:, 2]
    return np.asarray(pixels.ravel() / (CANVAS / 2) - 1.0, dtype=np.float32)


def _seen(image: Bytes, image_size: int, rng: np.random.Generator) -> Bytes:
    """Return the image as an encoder sees it: after the losses of a codec, and resized."""
    picture = Image.fromarray(image)
    if rng.random() < 0.7:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(35, 90)))
        picture = Image.open(buffer)
    return np.asarray(picture.resize((image_size, image_size), Image.Resampling.BICUBIC))


_PROPS = ("", "", "", "chair", "box", "cup")
_ARMS: dict[bool, tuple[tuple[float, float], ...]] = {
    False: ((2, 8), (2, 8), (88, 90), (88, 90), (168, 174), (-45, -35), (45, 166), (20, 85), (46, 52), (-25, 30)),
    True: ((8, 5), (8, 5), (88, 90), (140, 160), (166, 174), (35, 165), (30, 247), (40, -20), (40, 140), (45, 60)),
}
_LEGS: tuple[tuple[tuple[float, float], tuple[float, float], float, float], ...] = (
    # near leg, far leg, and the range of the torso
    ((3, -2), (-2, -5), -8, 12),
    ((3, -2), (-2, -5), -8, 12),
    ((-5, -4), (-8, -6), 20, 90),
    ((26, 10), (-20, -32), -6, 20),
    ((-20, -32), (26, 10), -6, 20),
    ((45, -18), (40, -22), -15, 45),
    ((84, -36), (76, -40), 15, 65),
    ((84, -36), (76, -40), 15, 65),
    ((80, -10), (-3, -6), -15, 10),
    ((90, 82), (-2, -6), -25, 8),
    ((108, 35), (98, 45), -40, 0),
    ((94, 86), (88, 88), -92, -84),
)
_SEAT: tuple[tuple[float, float], tuple[float, float], float, float] = ((88, 0), (85, 3), -5, 15)


def random_motion(action: Action, *, rng: np.random.Generator) -> Motion:
    """Draw four unrelated poses: legs, torso and each arm separately, a third of them half-way to another pose."""
    poses = np.stack([_random_pose(action, rng) for _ in range(2 * FRAMES_PER_SCENE)])
    first, second = poses[:FRAMES_PER_SCENE], poses[FRAMES_PER_SCENE:]
    share = np.where(rng.random(FRAMES_PER_SCENE) < 0.35, rng.random(FRAMES_PER_SCENE), 0.0)[:, None]
    held = rng.random(FRAMES_PER_SCENE) < 0.5
    return Motion(first + share * (second - first), held.astype(np.float64))


def _random_pose(action: Action, rng: np.random.Generator) -> Floats:
    arms = _ARMS[action.front]
    near, far = (arms[rng.integers(len(arms))] for _ in range(2))
    if rng.random() < 0.45:
        far = near
    if action.front:
        spread = float(rng.choice([4.0, 4.0, 16.0, 27.0]))
        legs, torso = ((spread, spread - 2), (spread, spread - 2)), rng.uniform(-5, 5)
        lift = float(rng.random() < 0.25) * rng.uniform(0.03, 0.08)
    else:
        choices = (*_LEGS, _SEAT, _SEAT, _SEAT, _SEAT) if action.prop == "chair" else _LEGS
        *pair, low, high = choices[rng.integers(len(choices))]
        legs, torso, lift = (pair[0], pair[1]), rng.uniform(low, high), 0.0
    if torso < -62:  # the angles of the arms are for an upright figure
        near, far = ((a - torso, b - torso) for a, b in (near, far))
    pose = Pose(torso, rng.uniform(-18, 15), near, far, *legs, lift)
    return pose.array() + np.array([2.0, 0.0, *[8.0] * 4, *[4.0] * 4, 0.0]) * rng.normal(size=11)
