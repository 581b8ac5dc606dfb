"""The sixteen actions of the demo: their names, their descriptions and their key frames."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from framebank.demo.pose import Pose


@dataclass(frozen=True)
class Action:
    """One class: `key_frames` are played in order, each step taking its share of `steps`.

    `prop` is what the action needs: "chair", "box", "cup", "barbell" or "". From key frame `grab` on, the hands hold
    the box. A `backwards` action is the reversal of an action that comes before it, and its `grab` still counts in the
    forward order.
    """

    name: str
    descriptions: tuple[str, ...]
    key_frames: tuple[Pose, ...]
    steps: tuple[float, ...]
    reverse: str | None = None
    novel: bool = False
    backwards: bool = False
    front: bool = False
    stays: bool = True
    prop: str = ""
    grab: int | None = None

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.key_frames) - 1:
            raise ValueError(f"{self.name}: {len(self.steps)} in steps; expected one less than in key_frames")

    def reversed(self, name: str, descriptions: tuple[str, ...]) -> "Action":
        """Return the action that results if this one is played backwards."""
        return replace(
            self,
            name=name,
            descriptions=descriptions,
            key_frames=self.key_frames[::-1],
            steps=self.steps[::-1],
            reverse=self.name,
            backwards=True,
        )


STAND = Pose()
SIT = Pose(torso=4, near_arm=(22, 72), far_arm=(28, 78), near_leg=(88, 0), far_leg=(85, 3))
HALF_SIT = Pose(torso=38, head=-12, near_arm=(48, 62), far_arm=(42, 55), near_leg=(52, -18), far_leg=(48, -20))
CROUCH = Pose(torso=62, head=-20, near_arm=(22, 30), far_arm=(28, 36), near_leg=(86, -40), far_leg=(76, -44))
HALF_LIFT = Pose(torso=34, head=-8, near_arm=(24, 60), far_arm=(28, 64), near_leg=(44, -22), far_leg=(36, -24))
HALF_CARRY = replace(HALF_LIFT, near_arm=(44, 88), far_arm=(48, 92))
CARRY = Pose(torso=-6, near_arm=(52, 104), far_arm=(56, 108))
STUMBLE = Pose(torso=-18, head=12, near_arm=(75, 110), far_arm=(-50, -30), near_leg=(42, -8), far_leg=(12, -30))
ON_FLOOR = Pose(torso=-38, head=18, near_arm=(-50, -38), far_arm=(30, 60), near_leg=(112, 35), far_leg=(98, 48))
LIE = Pose(torso=-88, head=4, near_arm=(96, 88), far_arm=(110, 100), near_leg=(94, 84), far_leg=(88, 88))

FRONT = Pose(near_arm=(9, 5), far_arm=(9, 5), near_leg=(4, 2), far_leg=(4, 2))
WAVE_OUT = replace(FRONT, near_arm=(128, 138))
WAVE_IN = replace(FRONT, near_arm=(138, 206))
CLAP_OPEN = replace(FRONT, near_arm=(40, 140), far_arm=(40, 140))
CLAP_SHUT = replace(FRONT, near_arm=(30, 247), far_arm=(30, 247))
JACK = Pose(near_arm=(158, 170), far_arm=(158, 170), near_leg=(27, 25), far_leg=(27, 25))
HALF_JACK = Pose(near_arm=(88, 92), far_arm=(88, 92), near_leg=(15, 12), far_leg=(15, 12), lift=0.06)
RACK = replace(FRONT, near_arm=(30, 172), far_arm=(30, 172))
PRESS = replace(FRONT, near_arm=(166, 178), far_arm=(166, 178))

SQUAT = Pose(torso=30, head=-15, near_arm=(88, 90), far_arm=(84, 86), near_leg=(86, -32), far_leg=(80, -34))
GUARD = Pose(torso=6, near_arm=(42, 166), far_arm=(52, 158), near_leg=(24, 2), far_leg=(-16, -30))
JAB = replace(GUARD, torso=12, near_arm=(88, 92))
CROSS = replace(GUARD, torso=16, far_arm=(88, 92))
KNEE_UP = Pose(torso=-4, near_arm=(-20, 40), far_arm=(30, 70), near_leg=(78, -12), far_leg=(-4, -8))
KICK = Pose(torso=-20, head=10, near_arm=(-38, -10), far_arm=(35, 70), near_leg=(92, 84), far_leg=(-2, -6))
STRIDE = Pose(torso=4, near_arm=(-28, -8), far_arm=(26, 48), near_leg=(27, 16), far_leg=(-22, -34))
PASS = Pose(torso=3, near_arm=(0, 15), far_arm=(0, 15), near_leg=(0, -4), far_leg=(22, -36))
OTHER_STRIDE = Pose(torso=4, near_arm=(26, 48), far_arm=(-28, -8), near_leg=(-22, -34), far_leg=(27, 16))
OTHER_PASS = Pose(torso=3, near_arm=(0, 15), far_arm=(0, 15), near_leg=(22, -36), far_leg=(0, -4))
BOW = Pose(torso=82, head=12, near_arm=(6, 8), far_arm=(2, 5), near_leg=(-6, -4), far_leg=(-8, -6))
CUP_LOW = Pose(near_arm=(6, 82), far_arm=(-4, 6))
CUP_HIGH = Pose(torso=-5, head=-14, near_arm=(62, 196), far_arm=(-6, 4))


def _pairs() -> Iterator[Action]:
    """Yield the three actions that have a reversal, each followed by its reversal."""
    sit = Action(
        "sitting down",
        (
            "a person sitting on a chair, with a straight back, both arms held low in front",
            "a person sitting on a chair, leaning forward, both arms reaching down",
            "a person standing upright in front of a chair, both arms hanging down",
        ),
        (STAND, HALF_SIT, SIT),
        (1, 1),
        reverse="standing up",
        prop="chair",
    )
    yield sit
    yield sit.reversed(
        "standing up",
        (
            "someone standing upright, both arms down, in front of a chair",
            "someone seated on a chair, leaning ahead, both arms held low in front",
            "someone seated on a chair, with a straight back",
        ),
    )
    pick = Action(
        "picking up",
        (
            "a person crouching, leaning forward, with a box on the floor",
            "a person standing upright, holding a box, both arms stretched forward",
            "a person with knees half bent, leaning forward, carrying a box",
            "a person standing upright in front of a box on the ground",
        ),
        (STAND, HALF_LIFT, CROUCH, CROUCH, HALF_CARRY, CARRY),
        (0.7, 0.7, 0.15, 0.7, 0.7),
        reverse="putting down",
        prop="box",
        grab=2,
    )
    yield pick
    yield pick.reversed(
        "putting down",
        (
            "someone standing, carrying a box, both arms straight out in front",
            "someone half crouching, leaning ahead, with a box in both hands",
            "someone crouching low, leaning ahead, in front of a box on the ground",
            "someone standing with a box on the floor, both arms hanging down",
        ),
    )
    fall = Action(
        "falling down",
        (
            "a person lying on the floor",
            "a person sitting on the floor, leaning back",
            "a person with knees half bent, leaning back, one arm stretched forward and the other stretched back",
            "a person standing upright, with a straight back, both arms hanging down, legs together",
        ),
        (STAND, STUMBLE, ON_FLOOR, LIE),
        (0.8, 0.8, 0.9),
        reverse="getting up",
    )
    yield fall
    yield fall.reversed(
        "getting up",
        (
            "someone lying flat on the ground, leaning back",
            "someone sitting on the ground, leaning backwards",
            "someone half crouching, leaning backwards, one arm stretched forward and the other stretched back",
            "someone standing upright, with a straight back, both arms down",
        ),
    )


def _single() -> Iterator[Action]:
    """Yield the actions that look the same backwards, or whose direction does not matter."""
    yield Action(
        "waving",
        (
            "a person facing the camera with one arm raised overhead and the other hanging down",
            "a person seen from the front, one arm up in the air and the other down, legs together",
            "a person facing the camera, one arm up beside the head and the other hanging down",
        ),
        (FRONT, WAVE_OUT, WAVE_IN, WAVE_OUT, WAVE_IN, WAVE_OUT, FRONT),
        (0.9, 0.5, 0.5, 0.5, 0.5, 0.9),
        front=True,
    )
    yield Action(
        "clapping",
        (
            "a person facing the camera with both hands together in front of the chest",
            "a person seen from the front with both arms bent in front of the chest",
            "a person facing the camera, both hands at the shoulder",
        ),
        (FRONT, CLAP_OPEN, CLAP_SHUT, CLAP_OPEN, CLAP_SHUT, CLAP_OPEN, CLAP_SHUT, CLAP_OPEN, FRONT),
        (0.6, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.6),
        front=True,
    )
    yield Action(
        "jumping jacks",
        (
            "a person facing the camera, both arms raised overhead, legs apart",
            "a person seen from the front, both arms stretched out to the side, legs apart",
            "a person off the ground, both arms stretched out to the side",
            "a person facing the camera, both arms hanging down, legs together",
        ),
        (FRONT, HALF_JACK, JACK, HALF_JACK, FRONT, HALF_JACK, JACK, HALF_JACK, FRONT),
        (0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5),
        novel=True,
        front=True,
    )
    yield Action(
        "lifting weights",
        (
            "a person holding a barbell, both arms above the head",
            "a person holding a barbell, both hands at the shoulder",
            "a person facing the camera with a barbell, both arms raised overhead",
        ),
        (RACK, PRESS, PRESS, RACK, RACK, PRESS, RACK),
        (0.9, 0.3, 0.9, 0.3, 0.9, 0.9),
        front=True,
        prop="barbell",
    )
    yield Action(
        "squatting",
        (
            "a person crouching, leaning forward, both arms stretched forward",
            "a person with knees half bent, leaning forward, both arms stretched forward, legs together",
            "a person crouching low, leaning ahead, both arms straight out in front",
            "a person standing upright, with a straight back, both arms hanging down, legs together",
        ),
        (STAND, SQUAT, SQUAT, STAND, SQUAT, STAND),
        (1, 0.25, 1, 1, 1),
        novel=True,
    )
    yield Action(
        "punching",
        (
            "a person in a stride, one arm stretched forward and the other hand at the face",
            "a person standing, one hand at the face and the other stretched forward, one foot in front of the other",
            "a person in a stride, both hands at the face",
        ),
        (GUARD, JAB, GUARD, CROSS, GUARD, JAB, GUARD, CROSS, GUARD),
        (0.4, 0.4, 0.45, 0.45, 0.4, 0.4, 0.45, 0.45),
        novel=True,
    )
    yield Action(
        "kicking",
        (
            "a person with one leg raised straight forward",
            "a person standing upright on one leg, one knee raised",
            "a person on one leg, leaning back, one leg stretched forward",
        ),
        (STAND, KNEE_UP, KICK, KNEE_UP, STAND, KNEE_UP, KICK, KNEE_UP, STAND),
        (0.6, 0.4, 0.5, 0.5, 0.5, 0.4, 0.5, 0.6),
    )
    yield Action(
        "walking",
        (
            "a person standing upright, both arms down, one foot in front of the other",
            "a person in a stride, one arm held low in front and the other swung back",
            "a person seen from the side, standing, one arm swung back, in a stride",
        ),
        (STRIDE, PASS, OTHER_STRIDE, OTHER_PASS) * 2 + (STRIDE, PASS, OTHER_STRIDE),
        (0.4,) * 10,
        stays=False,
    )
    yield Action(
        "bowing",
        (
            "a person standing, bending forward, both arms hanging down, legs together",
            "a person with straight legs, bent over at the waist, both arms down, legs together",
            "a person standing, leaning forward, both arms hanging down",
            "a person standing upright, with a straight back, both arms hanging down, legs together",
        ),
        (STAND, BOW, BOW, STAND),
        (1, 0.4, 1),
        novel=True,
    )
    yield Action(
        "drinking",
        (
            "a person standing upright, holding a cup, one hand at the mouth and the other hanging down",
            "a person holding a cup, one arm bent and the other hanging down",
            "a person standing, with a straight back, one hand at the mouth and the other down, legs together",
        ),
        (CUP_LOW, CUP_HIGH, CUP_HIGH, CUP_LOW, CUP_HIGH, CUP_LOW),
        (0.9, 0.5, 0.8, 0.9, 0.8),
        prop="cup",
    )


ACTIONS: tuple[Action, ...] = (*_pairs(), *_single())
BY_NAME = {action.name: action for action in ACTIONS}
