"""The body as joint angles in the image plane, and the positions of its joints."""

from dataclasses import astuple, dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

CHANNELS = 11
JOINTS = 17
HIP, NECK, HEAD = 0, 1, 2
# Shoulder, elbow, hand; hip, knee, ankle, toe.
NEAR_ARM, FAR_ARM = (3, 4, 5), (6, 7, 8)
NEAR_LEG, FAR_LEG = (9, 10, 11, 12), (13, 14, 15, 16)


@dataclass(frozen=True)
class Pose:
    """Joint angles in degrees of a figure that faces right. The direction of each segment is absolute.

    Limbs: 0 hangs down, 90 points ahead (seen from the front: outward), 180 points up. Torso: 0 is upright, positive
    leans ahead. Head: nod relative to the torso. `lift` is the height of the feet above the ground in body heights.
    """

    torso: float = 0.0
    head: float = 0.0
    near_arm: tuple[float, float] = (4.0, 12.0)
    far_arm: tuple[float, float] = (-4.0, 6.0)
    near_leg: tuple[float, float] = (4.0, -2.0)
    far_leg: tuple[float, float] = (-2.0, -5.0)
    lift: float = 0.0

    def array(self) -> Floats:
        """Return the channels in order: torso, head, arms, legs (near before far), lift -> (11,)."""
        return np.hstack(astuple(self)).astype(np.float64)


@dataclass(frozen=True)
class Body:
    """Lengths and thickness of one figure, in body heights."""

    legs: float = 0.47
    arms: float = 0.32
    torso: float = 0.30
    girth: float = 1.0
    head: float = 0.085


def joints(channels: Floats, *, body: Body, front: bool, stays: bool) -> Floats:
    """Place the joints of every pose on the ground: channels (T, 11) -> (T, 17, 2), x ahead, y up, in body heights.

    `front` draws the far limbs as mirror images of the near ones. `stays` keeps the supporting foot in place; without
    it the hips stay, as a camera that follows a walker sees them.
    """
    torso, head, nu, nf, fu, ff, nt, ns, ft, fs = np.deg2rad(channels[:, :10]).T
    points = np.zeros((len(channels), JOINTS, 2))
    up = np.stack([np.sin(torso), np.cos(torso)], -1)
    points[:, NECK] = body.torso * up
    nod = np.stack([np.sin(torso + head), np.cos(torso + head)], -1)
    points[:, HEAD] = points[:, NECK] + (0.025 + body.head) * nod
    shoulder, hip = (0.30 * body.torso, 0.16 * body.torso) if front else (0.0, 0.0)
    for side, arm, leg, (u, f), (t, s) in (
        (1.0, NEAR_ARM, NEAR_LEG, (nu, nf), (nt, ns)),
        (-1.0, FAR_ARM, FAR_LEG, (fu, ff), (ft, fs)),
    ):
        outward = side if front else 1.0
        across = np.stack([np.cos(torso), -np.sin(torso)], -1)
        points[:, arm[0]] = 0.94 * points[:, NECK] + side * shoulder * across
        points[:, arm[1]] = points[:, arm[0]] + 0.5 * body.arms * _direction(u, outward)
        points[:, arm[2]] = points[:, arm[1]] + 0.5 * body.arms * _direction(f, outward)
        points[:, leg[0]] = side * hip * across
        points[:, leg[1]] = points[:, leg[0]] + 0.51 * body.legs * _direction(t, outward)
        points[:, leg[2]] = points[:, leg[1]] + 0.49 * body.legs * _direction(s, outward)
        toe = 0.055 * _direction(s + 0.7, outward) if front else 0.095 * _direction(s + np.pi / 2, outward)
        points[:, leg[3]] = points[:, leg[2]] + toe
    return _grounded(points, lift=channels[:, 10], girth=body.girth, stays=stays)


def _direction(angle: Floats, outward: float) -> Floats:
    return np.stack([outward * np.sin(angle), -np.cos(angle)], -1)


def _grounded(points: Floats, *, lift: Floats, girth: float, stays: bool) -> Floats:
    ankles = points[:, [NEAR_LEG[2], FAR_LEG[2]]]
    if stays:
        # A soft choice of the lower foot. A hard one would make the figure jump when the weight shifts.
        weight = np.exp(-(ankles[:, :, 1] - ankles[:, :, 1].min(1, keepdims=True)) / 0.04)
        points = points - ((weight[:, :, None] * ankles).sum(1) / weight.sum(1)[:, None] * [1.0, 0.0])[:, None]
    thickness = np.full(JOINTS, 0.03)
    thickness[[HIP, NECK, HEAD]] = 0.07 * girth
    lowest = (points[:, :, 1] - thickness).min(1)
    points[:, :, 1] += (lift - lowest)[:, None]
    return points
