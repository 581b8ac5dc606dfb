"""The stage: everything random about a clip except its motion."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from framebank.demo.actions import CROUCH, SIT, Action
from framebank.demo.backdrop import BACKDROPS, draw_backdrop
from framebank.demo.figure import Colour, Outfit, figure, shade
from framebank.demo.motion import Motion
from framebank.demo.pose import FAR_ARM, FAR_LEG, HIP, NEAR_ARM, NEAR_LEG, Body, Floats, Pose, joints
from framebank.demo.props import BOX
from framebank.demo.scene import CANVAS, GROUND, HEIGHT, MARGIN, SIZE, Prop, Scene

COLOURS: dict[str, Colour] = {
    "red": (205, 30, 35),
    "orange": (245, 130, 20),
    "yellow": (245, 220, 40),
    "green": (35, 150, 60),
    "blue": (35, 80, 205),
    "purple": (125, 50, 170),
    "pink": (250, 150, 195),
    "black": (28, 28, 32),
    "white": (248, 248, 245),
    "brown": (112, 68, 36),
}
_SKINS: tuple[Colour, ...] = ((240, 200, 170), (224, 172, 130), (190, 135, 95), (140, 92, 62), (100, 66, 46))
_HAIRS: tuple[Colour, ...] = ((40, 28, 22), (85, 55, 35), (150, 105, 60), (205, 175, 110), (120, 118, 116))
_SHOES: tuple[Colour, ...] = ((40, 36, 36), (225, 225, 222), (120, 78, 48), (150, 40, 40))
_WOODS: tuple[Colour, ...] = ((130, 86, 50), (165, 120, 75), (90, 62, 44), (70, 84, 104))
_CARTONS: tuple[Colour, ...] = ((190, 145, 92), (170, 122, 72), (206, 168, 116))
_LEAVES: Colour = (52, 128, 62)
_STEEL: Colour = (62, 64, 70)


def set_stage(motion: Motion, *, action: Action, rng: np.random.Generator) -> Scene:
    """Put a motion on a stage with random body, clothes, light, backdrop, props and camera.

    Nothing here depends on the direction of the motion: both classes of a reversed pair draw from the same stages.
    """
    body = Body(*(rng.uniform(low, high) for low, high in _BODY))
    placed = joints(motion.channels, body=body, front=action.front, stays=action.stays)
    light = rng.uniform(0.78, 1.12) * (1.0 + rng.uniform(-0.06, 0.06) * np.array([1.0, 0.2, -1.0]))
    shirt, trousers = (str(name) for name in rng.choice(list(COLOURS), 2, replace=False))
    outfit = _outfit(shirt, trousers, light, rng)
    walked = np.zeros(len(placed)) if action.stays else _walked(placed)
    props = tuple(_props(action, motion, placed, body, light, rng, walked=walked))
    backdrop = str(rng.choice(BACKDROPS))
    mirrored = bool(rng.random() < 0.5)
    track = HEIGHT * (walked.max() - walked if mirrored else walked)
    size = CANVAS + 2 * MARGIN
    facts = {"shirt": shirt, "trousers": trousers, "backdrop": backdrop, "view": "front" if action.front else "side"}
    if action.prop:
        facts["prop"] = action.prop
    beside = [prop.kind for prop in props if prop.kind not in ("post", action.prop)]
    if beside:
        facts["beside"] = beside[0]
    middle = (placed[:, :, 0].min() + placed[:, :, 0].max()) / 2
    return Scene(
        motion=motion,
        joints=placed,
        facts=facts,
        outfit=outfit,
        drawn=figure(placed, body=body, front=action.front, outfit=outfit),
        props=props,
        backdrop=draw_backdrop(
            backdrop, size=(size + round(track.max()), size), ground=GROUND + MARGIN, light=light, rng=rng
        ),
        camera=_camera(len(placed), rng),
        track=track,
        mirrored=mirrored,
        middle=float(middle + rng.uniform(-0.06, 0.06)),
        noise=(rng.uniform(0.0, 5.0) * rng.standard_normal((4, SIZE, SIZE), np.float32)).astype(np.int8),
    )


_BODY = ((0.44, 0.50), (0.30, 0.35), (0.28, 0.32), (0.85, 1.2), (0.078, 0.095))


def _outfit(shirt: str, trousers: str, light: NDArray[np.float64], rng: np.random.Generator) -> Outfit:
    def of(colours: tuple[Colour, ...]) -> Colour:
        return _lit(colours[rng.integers(len(colours))], light)

    return Outfit(
        shirt=_lit(_tinged(COLOURS[shirt], rng), light),
        trousers=_lit(_tinged(COLOURS[trousers], rng), light),
        skin=of(_SKINS),
        hair=of(_HAIRS),
        shoes=of(_SHOES),
        long_sleeves=bool(rng.random() < 0.5),
        long_trousers=bool(rng.random() < 0.75),
    )


def _tinged(colour: Colour, rng: np.random.Generator) -> Colour:
    red, green, blue = (round(float(x)) for x in np.clip(np.array(colour) + rng.normal(0, 8, 3), 0, 255))
    return red, green, blue


def _lit(colour: Colour, light: NDArray[np.float64]) -> Colour:
    red, green, blue = (round(float(x)) for x in np.clip(np.array(colour) * light, 0, 255))
    return red, green, blue


def _walked(placed: Floats) -> Floats:
    """Return how far a figure with fixed hips has walked, from the way its standing foot slides back: (T,)."""
    ankles = placed[:, [NEAR_LEG[2], FAR_LEG[2]]]
    weight = np.exp(-(ankles[:-1, :, 1] - ankles[:-1, :, 1].min(1, keepdims=True)) / 0.02)
    slide = (weight * np.diff(ankles[:, :, 0], axis=0)).sum(1) / weight.sum(1)
    return np.concatenate([[0.0], np.cumsum(np.clip(-slide, 0.0, 0.1))])


def _camera(num_frames: int, rng: np.random.Generator) -> Floats:
    start, end = rng.uniform([-9.0, -5.0, 0.9], [9.0, 4.0, 1.1], (2, 3))
    # Half of the cameras stand on a tripod.
    moves = float(rng.random() < 0.5)
    return np.asarray(start + moves * np.linspace(0.0, 1.0, num_frames)[:, None] * (end - start))


def _props(
    action: Action,
    motion: Motion,
    placed: Floats,
    body: Body,
    light: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    walked: Floats,
) -> Iterator[Prop]:
    def still(x: float, y: float) -> Floats:
        return np.array([x, y]) - np.stack([walked, np.zeros(len(walked))], -1)

    def of(colours: tuple[Colour, ...]) -> Colour:
        return _lit(colours[rng.integers(len(colours))], light)

    # Props that the action does not need may appear too, so that no prop reveals the class.
    low, high = placed[:, :, 0].min(), placed[:, :, 0].max()
    beside = float(low - 0.16 if rng.random() < 0.5 else high + 0.16)
    aside = rng.random()
    if action.prop == "chair" or aside < 0.12:
        seat = _placed(SIT, body)
        height = float(seat[HIP, 1] - 0.06 * body.girth)
        at = float(seat[HIP, 0]) + 0.02 if action.prop == "chair" else beside
        yield Prop("chair", still(at, 0.0), height, of(_WOODS), 0)
    if action.prop == "box":
        yield Prop("box", _box(motion, placed, body), BOX, of(_CARTONS), 1)
    elif 0.12 <= aside < 0.24:
        yield Prop("box", still(beside, BOX), BOX, of(_CARTONS), 0)
    elif 0.24 <= aside < 0.40:
        yield Prop("plant", still(beside, 0.0), rng.uniform(0.3, 0.6), _lit(_LEAVES, light), 0)
    if action.prop == "cup":
        cup = tuple(COLOURS.values())
        yield Prop("cup", placed[:, NEAR_ARM[2]] + [0.03, 0.02], 0.0, of(cup), 1)
    if action.prop == "barbell":
        yield Prop("barbell", placed[:, [NEAR_ARM[2], FAR_ARM[2]]].mean(1), 0.0, _lit(_STEEL, light), 1)
    if rng.random() < 0.2:
        # Never in front of the hips, where it would hide the whole figure.
        x = (low + high) / 2 + rng.choice([-1.0, 1.0]) * rng.uniform(0.12, 0.5)
        colour = shade(tuple(COLOURS.values())[rng.integers(len(COLOURS))], 0.5)
        yield Prop("post", still(float(x), 0.0), rng.uniform(0.05, 0.1), _lit(colour, light), 2)


def _box(motion: Motion, placed: Floats, body: Body) -> Floats:
    """Return the box's middle: on the floor where the hands reach it, or in the hands -> (T, 2)."""
    at = _placed(CROUCH, body)[[NEAR_ARM[2], FAR_ARM[2]]].mean(0)
    floor = np.array([at[0] + 0.03, BOX])
    hands = placed[:, [NEAR_ARM[2], FAR_ARM[2]]].mean(1) + (floor - at)
    return np.asarray(np.where(motion.held[:, None] > 0, np.maximum(hands, [-9.0, BOX]), floor))


def _placed(pose: Pose, body: Body) -> Floats:
    return np.asarray(joints(pose.array()[None], body=body, front=False, stays=True)[0])
