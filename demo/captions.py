"""Captions of a frame: the facts that are true of it, and sentences about some of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from framebank.demo.actions import BY_NAME
from framebank.demo.pose import FAR_ARM, FAR_LEG, HEAD, HIP, NEAR_ARM, NEAR_LEG, Floats
from framebank.demo.scene import Scene


@dataclass(frozen=True)
class Caption:
    """A sentence and its facts. It is true of every frame that has all of these facts."""

    text: str
    facts: frozenset[str]


def frame_facts(scene: Scene, frame: int, *, action: str = "") -> frozenset[str]:
    """Return all the facts about one frame that a caption may state, as "kind=value".

    `action` is the name of the performed action, if any. The two names of a reversed pair are one fact, because no
    single frame tells which of them it is.
    """
    facts = {f"{kind}={value}" for kind, value in scene.facts.items() if (kind, value) != ("prop", "box")}
    channels, points = scene.motion.channels[frame], scene.joints[frame]
    front = scene.facts["view"] == "front"
    level = _level(channels, points, seat=scene.facts.get("prop") == "chair")
    facts |= {f"level={level}", f"lean={_lean(channels[0])}"}
    arms = sorted(_arm(points, arm, torso=channels[0], front=front) for arm in (NEAR_ARM, FAR_ARM))
    facts |= {f"arms={'+'.join(arms)}", *(f"arm={arm}" for arm in arms)}
    if level in ("upright", "half"):
        facts |= {f"legs={legs}" for legs in _legs(channels, points, front=front)}
    if channels[10] > 0.025:
        facts.add("lift=air")
    if scene.facts.get("prop") == "box":
        facts.add("box=held" if scene.motion.held[frame] else "box=floor")
    if action and not BY_NAME[action].novel:
        facts.add(f"action={_pair(action)}")
    return frozenset(facts)


def _pair(action: str) -> str:
    return "|".join(sorted({action, BY_NAME[action].reverse or action}))


def _level(channels: Floats, points: Floats, *, seat: bool) -> str:
    hip, knee, ankle, _ = points[list(NEAR_LEG)]
    height = points[HIP, 1] / (np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))
    if channels[0] < -62:
        return "lying"
    if height < 0.48:
        return "floor"
    if height < 0.85:
        upright = channels[0] < 25 and min(channels[7], channels[9]) > -18
        return "seat" if seat and upright else "crouch"
    return "half" if height < 1.0 and max(channels[6], channels[8]) > 20 else "upright"


def _lean(torso: float) -> str:
    if torso > 55:
        return "bent"
    if torso > 20:
        return "forward"
    return "back" if torso < -12 else "straight"


def _arm(points: Floats, arm: tuple[int, int, int], *, torso: float, front: bool) -> str:
    shoulder, elbow, hand = points[list(arm)]
    reach = hand - shoulder
    length = np.linalg.norm(elbow - shoulder) + np.linalg.norm(hand - elbow)
    outward = -1.0 if front and arm is FAR_ARM else 1.0
    angle = np.rad2deg(np.arctan2(outward * reach[0], -reach[1]))
    if torso < -62:
        angle += torso  # if somebody lies, down is along the body
    if np.linalg.norm(reach) < 0.8 * length:
        if np.linalg.norm(hand - points[HEAD]) < 0.17:
            return "face"
        if front and abs(hand[0]) < 0.12:
            return "chest"
        return "shoulder" if front and abs(reach[1]) < 0.08 else "bent"
    if angle > 122 or angle < -140:
        return "up"
    if angle < -20:
        return "back"
    if angle > 62:
        return "side" if front else "forward"
    return "low" if angle > 32 else "down"


def _legs(channels: Floats, points: Floats, *, front: bool) -> list[str]:
    if front:
        return ["apart" if channels[6] + channels[8] > 26 else "together"]
    near, far = points[NEAR_LEG[2]], points[FAR_LEG[2]]
    if abs(near[1] - far[1]) > 0.12:
        thigh, shin = channels[6:8] if near[1] > far[1] else channels[8:10]
        return ["one", "kick" if thigh - shin < 40 else "knee"]
    return ["stride" if abs(near[0] - far[0]) > 0.17 else "together"]


PHRASES: dict[str, tuple[str, ...]] = {
    "level=lying": ("lying on the floor", "lying flat on the ground", "lying on the back"),
    "level=floor": ("sitting on the floor", "sitting on the ground", "sitting on the floor with bent legs"),
    "level=seat": ("sitting on a chair", "seated on a chair", "sitting"),
    "level=crouch": ("crouching", "crouching low", "crouching with bent knees"),
    "level=half": ("with knees half bent", "half crouching", "with slightly bent legs"),
    "level=upright": ("standing", "standing upright", "with straight legs"),
    "lean=bent": ("bending forward", "bent over at the waist", "bent far over"),
    "lean=forward": ("leaning forward", "leaning ahead"),
    "lean=back": ("leaning back", "leaning backwards"),
    "lean=straight": ("with a straight back", "upright"),
    "legs=apart": ("legs apart", "feet wide apart"),
    "legs=together": ("legs together", "feet together"),
    "legs=one": ("on one leg", "one foot off the ground"),
    "legs=kick": ("one leg raised straight forward", "one leg stretched forward"),
    "legs=knee": ("one knee raised", "one knee up"),
    "legs=stride": ("in a stride", "one foot in front of the other"),
    "lift=air": ("in the air", "off the ground"),
    "view=front": ("facing the camera", "seen from the front"),
    "view=side": ("seen from the side", "from the side"),
    "box=held": ("holding a box", "carrying a box", "with a box in both hands"),
    "box=floor": ("with a box on the floor", "in front of a box on the ground"),
    "prop=cup": ("holding a cup", "with a cup", "with a cup in one hand"),
    "prop=barbell": ("holding a barbell", "with a barbell"),
    "prop=chair": ("in front of a chair", "with a chair"),
    "beside=chair": ("beside a chair", "next to a chair"),
    "beside=box": ("beside a box", "next to a box"),
    "beside=plant": ("beside a plant", "next to a plant"),
    "backdrop=plain wall": ("in front of a plain wall", "plain wall behind"),
    "backdrop=brick wall": ("in front of a brick wall", "bricks behind"),
    "backdrop=striped wall": ("in front of a striped wall", "stripes behind"),
    "backdrop=checked wall": ("in front of a checked wall", "checked wall behind"),
    "backdrop=hills": ("in front of green hills", "outdoors", "hills and sky behind"),
}
_ARMS: dict[str, tuple[str, ...]] = {
    "up": ("raised overhead", "up in the air", "up beside the head", "above the head"),
    "down": ("hanging down", "down"),
    "forward": ("stretched forward", "straight out in front"),
    "low": ("reaching down", "held low in front"),
    "back": ("stretched back", "swung back"),
    "side": ("stretched out to the side", "out to the side"),
    "bent": ("bent", "with the elbow bent"),
    "face": ("at the face", "at the mouth"),
    "chest": ("in front of the chest", "at the chest"),
    "shoulder": ("at the shoulder", "held up beside the shoulder"),
}
_HANDS = ("face", "chest", "shoulder")
_TOGETHER = (
    "both hands together in front of the chest",
    "hands together at the chest",
    "both arms bent in front of the chest",
)
OPENERS = ("", "", "", "a photo of ", "a video of ", "a clip of ", "a frame of ", "an image of ")
SUBJECTS = ("a person", "a person", "a person", "someone", "a figure", "a human")

# What one caption states, and how often. Colours have captions of their own: in sentences about the pose they are too
# rarely decisive, and an encoder that learns from such sentences only stops looking at them.
TOPICS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("level", "lean", "arms", "legs"), 0.18),
    (("level", "arms"), 0.10),
    (("view", "level", "arms"), 0.05),
    (("view", "arms", "legs"), 0.05),
    (("level", "lean"), 0.08),
    (("level",), 0.05),
    (("arms",), 0.06),
    (("arm",), 0.04),
    (("legs",), 0.04),
    (("lift", "arms"), 0.02),
    (("shirt",), 0.08),
    (("trousers",), 0.04),
    (("shirt", "trousers"), 0.05),
    (("shirt", "level"), 0.03),
    (("backdrop",), 0.03),
    (("beside", "backdrop"), 0.03),
    (("prop", "box"), 0.03),
    (("level", "lean", "prop", "box"), 0.03),
    (("prop", "box", "arms"), 0.03),
    (("action",), 0.08),
)
_CHANCES = np.array([chance for _, chance in TOPICS]) / sum(chance for _, chance in TOPICS)


def draw_caption(facts: frozenset[str], *, rng: np.random.Generator) -> Caption:
    """Return one sentence about a frame. A topic without a fact in the frame is drawn again."""
    while True:
        topic = TOPICS[rng.choice(len(TOPICS), p=_CHANCES)][0]
        told = [fact for kind in topic for fact in _of_kind(facts, kind, rng)]
        if told:
            return Caption(_sentence(told, rng), frozenset(told))


def tell(facts: frozenset[str], kinds: tuple[str, ...], *, rng: np.random.Generator) -> Caption:
    """Return one sentence that states the facts of the given kinds."""
    told = [fact for kind in kinds for fact in _of_kind(facts, kind, rng)]
    return Caption(_sentence(told, rng), frozenset(told))


def _of_kind(facts: frozenset[str], kind: str, rng: np.random.Generator) -> list[str]:
    found = sorted(fact for fact in facts if fact.startswith(f"{kind}="))
    return [found[rng.integers(len(found))]] if found else []


def _sentence(told: list[str], rng: np.random.Generator) -> str:
    def one(choices: tuple[str, ...]) -> str:
        return choices[rng.integers(len(choices))]

    opener = one(OPENERS) if len(told) < 4 else ""  # the longest sentences would not fit the context
    words = opener + one(SUBJECTS)
    clothes = [fact.split("=") for fact in told if fact.startswith(("shirt=", "trousers="))]
    for number, (kind, colour) in enumerate(clothes):
        article = "" if kind == "trousers" else "an " if colour == "orange" else "a "
        words += f"{' and' if number else one((' in', ' wearing'))} {article}{colour} {kind}"
    for fact in told:
        kind, value = fact.split("=")
        if kind in ("shirt", "trousers"):
            continue
        if kind == "action":
            words += f" {one(tuple(value.split('|')))}"
        else:
            words += one((" ", ", ")) + (
                _arms(value.split("+"), one) if kind in ("arms", "arm") else one(PHRASES[fact])
            )
    return words


def _arms(arms: list[str], one: Callable[[tuple[str, ...]], str]) -> str:
    if arms == ["chest", "chest"]:
        return one(_TOGETHER)
    if len(arms) == 1:
        return f"one {'hand' if arms[0] in _HANDS else 'arm'} {one(_ARMS[arms[0]])}"
    if arms[0] == arms[1]:
        noun = "hands" if arms[0] in _HANDS else "arms"
        return f"{one(('both', 'with both'))} {noun} {one(_ARMS[arms[0]])}"
    first, second = arms if one(("a", "b")) == "a" else arms[::-1]
    return f"one {'hand' if first in _HANDS else 'arm'} {one(_ARMS[first])} and the other {one(_ARMS[second])}"
