"""A motion: one performance of an action, as poses over time, and the takes of it."""

from dataclasses import dataclass

import numpy as np

from framebank.demo.actions import BY_NAME, Action
from framebank.demo.pose import Floats

FPS = 25
TAKES = ("loop", "whole", "middle")


@dataclass(frozen=True, eq=False)
class Motion:
    """The poses of T frames: `channels` (T, 11) as in `Pose.array`, and `held` (T,), 1 if the hands hold the box."""

    channels: Floats
    held: Floats


def draw_motion(action: Action, *, take: str, num_frames: int, rng: np.random.Generator) -> Motion:
    """Draw one performance of an action.

    "whole" starts and ends at rest. "middle" is cut out of the middle of the action. "loop" starts at a random phase
    near one of the ends, plays to the end, cuts to the start and plays on to the phase that it began with, so that its
    first and last pose are the same. A reversal is drawn as its forward action and then reversed, so that equal draws
    give the two classes of a pair exactly the same poses in opposite order.
    """
    forward = BY_NAME[action.reverse] if action.backwards and action.reverse else action
    phase = _TAKES[take](num_frames, rng)
    motion = _perform(forward, phase, rng)
    if action.backwards:
        return Motion(motion.channels[::-1], motion.held[::-1])
    return motion


def _whole(num_frames: int, rng: np.random.Generator) -> Floats:
    start, end = rng.uniform(0.05, 0.4, 2) * FPS
    return np.asarray(np.clip((np.arange(num_frames) - start) / (num_frames - 1 - start - end), 0.0, 1.0))


def _middle(num_frames: int, rng: np.random.Generator) -> Floats:
    return np.linspace(rng.uniform(0.1, 0.3), rng.uniform(0.7, 0.9), num_frames)


def _loop(num_frames: int, rng: np.random.Generator) -> Floats:
    # The rests beside the cut have random lengths. Otherwise the moment of the cut would reveal the phase at the start.
    end, start = rng.uniform(0.0, 0.25, 2) * FPS
    # Near the start or near the end, at random: then the first and last pose reveal nothing, and most of the action
    # still runs uncut.
    phase = rng.uniform(0.03, 0.14)
    phase = phase if rng.random() < 0.5 else 1.0 - phase
    duration = num_frames - 1 - start - end
    cut = (1.0 - phase) * duration + end
    frame = np.arange(num_frames)
    before = np.minimum(phase + frame / duration, 1.0)
    after = np.maximum((frame - cut - start) / duration, 0.0)
    return np.asarray(np.where(frame < cut, before, after))


_TAKES = {"whole": _whole, "middle": _middle, "loop": _loop}


def _perform(action: Action, phase: Floats, rng: np.random.Generator) -> Motion:
    steps = np.array(action.steps, dtype=np.float64) * np.exp(rng.normal(0.0, 0.15, len(action.steps)))
    times = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    index = np.clip(np.searchsorted(times, phase, side="right") - 1, 0, len(steps) - 1)
    share = (phase - times[index]) / (times[index + 1] - times[index])
    ease = rng.uniform(0.4, 1.0)
    share = ease * share**2 * (3.0 - 2.0 * share) + (1.0 - ease) * share
    keys = np.stack([pose.array() for pose in action.key_frames])
    rest = keys[0]
    keys = rest + rng.uniform(0.92, 1.06) * (keys - rest) + rng.normal(0.0, 1.0, keys.shape[1]) * _LOOSENESS
    channels = keys[index] + share[:, None] * (keys[index + 1] - keys[index])
    held = phase >= times[action.grab] if action.grab is not None else np.zeros(len(phase))
    return Motion(channels + _sway(len(phase), rng), np.asarray(held, dtype=np.float64))


_LOOSENESS = np.array([3.0, 4.0, 4.0, 5.0, 4.0, 5.0, 2.5, 2.5, 2.5, 2.5, 0.0])


def _sway(num_frames: int, rng: np.random.Generator) -> Floats:
    # Whole turns only, so that a loop ends in exactly the pose that it began with.
    turns = rng.integers(1, 4, len(_LOOSENESS))
    angle = 2.0 * np.pi * (turns * np.linspace(0.0, 1.0, num_frames)[:, None] + rng.uniform(0.0, 1.0, len(turns)))
    return 0.4 * _LOOSENESS * np.sin(angle)
