"""Moments of films against the best fixed window, and how many queries of nothing are refused.

    python benchmarks/moments.py --films 50 --json moments.json

The films are those of `framebank.demo.films` with `--seed`, their rows those of the demo's encoder at `--fps` frames a
second, without the losses of a codec. Moments: a query is a film and a text of an action that is in it, by its name
("a person waving", for the actions whose names captions of the encoder have) or by the first of its descriptions; an
answer is right where it overlaps a stretch of that action by enough, or of the action that is its reversal, which no
single frame tells from it. A fixed window of 2, 5 or 10 s is the one with the highest mean cosine among all of the
film. Differences are paired; their intervals are of 95 %, by 2,000 draws of films with replacement.

Nothing found: fifteen times, some of the sixteen actions are cut out of the films. Queries of the others are present
ones, those that were cut out are absent ones, and so are names of things that no film shows. The best flat cut is the
cosine that loses at most 5 of 100 present queries and refuses most absent ones, chosen with all answers in sight.

`--clip FOLDER` asks the same of another encoder: embeddings by CLIP of the pictures of CIFAR-10, of a middle frame of
each video of UCF101, and of the LVIS names (`cifar10-images.npz`, `ucf101-midframes.npz`, `lvis-names.npz`). Twenty
times, half of the classes are left out; present queries are the names of the others, absent ones those of the classes
that were left out, and of things that no class shows. 400 LVIS names, drawn anew each time, stand for the everyday
names. With another `--seed` other films and classes are drawn.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

Answer = tuple[int, float, list[float]]  # the film, the overlap with the truth, and the errors of the boundaries

WINDOWS = (2.0, 5.0, 10.0)
LOST = 0.05
DRAWS = 2000
ABSENT = (
    "a person riding a bicycle",
    "an elephant",
    "a plate of sushi",
    "a person playing the violin",
    "a city street at night",
    "a dog swimming in a lake",
    "two cats on a sofa",
    "blorptang zzkq",
    "a person cooking soup",
    "a train in a tunnel",
)


class World:
    """Films, their unit rows and times, and the encoder of texts."""

    def __init__(self, films: int, *, seed: int, fps: float) -> None:
        from framebank.demo.films import film_rows, list_films
        from framebank.extract.encoders.device import resolve_device
        from framebank.extract.encoders.encoder import Encoder
        from framebank.heads.moments.rows import rows_in_time
        from framebank.library.searching.asked import is_unknown, known_names
        from framebank.store.vectors import unit

        self.encoder = Encoder("demo", device=resolve_device("cpu"))
        self.films = list_films(films, seed=seed)
        self.rows = [rows_in_time(film_rows(film, self.encoder, fps=fps, seed=seed)) for film in self.films]
        self.step = 1 / fps
        self.names = unit(self.encoder.encode_texts(known_names(self.encoder), phrases=()))
        self.embed: Callable[[Sequence[str]], np.ndarray] = lambda texts: unit(
            self.encoder.encode_texts(list(texts), phrases=())
        )
        self.is_unknown: Callable[[str], bool] = lambda text: is_unknown(text, self.encoder)


def texts_of(kind: str) -> dict[str, str]:
    """Return the text of each action."""
    from framebank.demo.actions import ACTIONS

    if kind == "names":
        return {action.name: f"a person {action.name}" for action in ACTIONS if not action.novel}
    return {action.name: action.descriptions[0] for action in ACTIONS}


def moments(world: World, kind: str) -> dict[str, Any]:
    """Return R1 at three overlaps and the errors of the boundaries, for our moments and each window."""
    from framebank.demo.actions import BY_NAME
    from framebank.heads.moments.stretches import track_of

    texts = texts_of(kind)
    vectors = dict(zip(texts, world.embed(list(texts.values())), strict=True))
    every = np.concatenate([rows for rows, _ in world.rows])
    usual = {name: float(np.median(every @ vector)) for name, vector in vectors.items()}
    answers: dict[str, list[Answer]] = {}
    for number, (film, (rows, times)) in enumerate(zip(world.films, world.rows, strict=True)):
        for name in sorted({span.label for span in film.truth} & set(texts)):
            truth = [span for span in film.truth if span.label in (name, BY_NAME[name].reverse)]
            track = track_of(film.video_id, rows, times, vectors[name], usual=usual[name])
            for way, answer in answered(track, truth, film=number, step=world.step):
                answers.setdefault(way, []).append(answer)
    return compared(answers)


def answered(track: Any, truth: Sequence[Any], *, film: int, step: float) -> Iterator[tuple[str, Answer]]:
    """Yield the answer of our moments, and of each window, to a query whose true spans are `truth`."""
    from framebank.heads.moments.stretches import best_stretches
    from framebank.store import Span

    given = {"moments": best_stretches(track)[0]}
    for seconds in WINDOWS:
        first, last = window(track.cosines, round(seconds / step))
        given[f"{seconds:g} s"] = Span(track.video_id, float(track.edges[first]), float(track.edges[last]))
    for way, span in given.items():
        best = max(truth, key=span.iou)
        errors = [abs(span.start - best.start), abs(span.end - best.end)] if span.iou(best) >= 0.5 else []
        yield way, (film, span.iou(best), errors)


def compared(answers: Mapping[str, Sequence[Answer]]) -> dict[str, Any]:
    """Return R1 and the error of a boundary, by way, and what moments have more than the best window."""
    found: dict[str, Any] = {"queries": len(answers["moments"]), "ways": {}}
    for way, ones in answers.items():
        right = {f"R1@{least}": float(np.mean([iou >= least for _, iou, _ in ones])) for least in (0.3, 0.5, 0.7)}
        errors = [error for _, _, pair in ones for error in pair]
        found["ways"][way] = {**right, "boundary": float(np.median(errors)) if errors else None}
    films = np.array([number for number, _, _ in answers["moments"]])
    for least in (0.5, 0.7):
        best = max((way for way in answers if way != "moments"), key=lambda way: found["ways"][way][f"R1@{least}"])
        ours, theirs = (np.array([iou >= least for _, iou, _ in answers[way]]) for way in ("moments", best))
        low, high = paired_interval(ours.astype(float) - theirs, films)
        found[f"more than the best window at {least}"] = {
            "window": best,
            "difference": float(ours.mean() - theirs.mean()),
            "interval": [low, high],
        }
    return found


def window(cosines: np.ndarray, width: int) -> tuple[int, int]:
    """Return the rows of the window with the highest mean: the first, and the one behind the last."""
    width = min(width, len(cosines))
    sums = np.concatenate([[0.0], np.cumsum(cosines)])
    first = int((sums[width:] - sums[:-width]).argmax())
    return first, first + width


def paired_interval(differences: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of a mean of paired differences, whole groups drawn together."""
    rng = np.random.default_rng(0)
    names = np.unique(groups)
    sums = np.array([differences[groups == name].sum() for name in names])
    counts = np.array([np.count_nonzero(groups == name) for name in names])
    drawn = rng.integers(len(names), size=(DRAWS, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def nothing_found(world: World, kind: str, *, rounds: int = 15) -> dict[str, Any]:
    """Return how many present queries are lost and absent ones refused, and what the best flat cut does."""
    from framebank.demo.actions import ACTIONS
    from framebank.heads.moments.background import Background, num_nearest, some_of
    from framebank.library.searching.moments import nearest_of

    texts = texts_of(kind)
    pairs = sorted({min(action.name, action.reverse or action.name) for action in ACTIONS})
    answers: list[tuple[bool, float, bool]] = []
    for number in range(rounds):
        rng = np.random.default_rng(number)
        out = set(rng.permutation(pairs)[:5].tolist())
        out |= {action.name for action in ACTIONS if action.reverse in out}
        rows = np.concatenate([kept(film, *found, out) for film, found in zip(world.films, world.rows, strict=True)])
        background = Background(some_of(rows), world.names)
        count = num_nearest(len(rows))
        asked = [(text, name not in out) for name, text in texts.items()] + [(text, False) for text in ABSENT]
        for (text, is_there), vector in zip(asked, world.embed([text for text, _ in asked]), strict=True):
            nearest = nearest_of(rows, rows @ vector, count)
            found = background.finds(vector, nearest) and not world.is_unknown(text)
            answers.append((is_there, float((nearest @ vector).mean()), found))
    return shares_of(answers)


OF_LVIS = {"automobile": "car_(automobile)"}
NO_CLASS = """
alarm_clock armchair asparagus avocado bagel banana basketball bathtub bed bench bicycle book broccoli
bulletin_board candle carrot chandelier computer_keyboard cucumber cupcake desk drum_(musical_instrument) guitar
hamburger hammer kitchen_sink ladder lamp laptop_computer microphone mushroom necklace piano pineapple pizza
pumpkin refrigerator sandwich scissors sofa spoon strawberry sushi teapot television_set toilet tomato
toothbrush umbrella violin
"""
# Classes of UCF101 that an object names, fixed before any was scored.
OF_UCF = """
Archery=bow_(weapon) BaseballPitch=baseball Basketball=basketball Biking=bicycle Billiards=pool_table
BlowDryHair=hair_dryer BlowingCandles=birthday_cake Bowling=bowling_ball BrushingTeeth=toothbrush
Drumming=drum_(musical_instrument) FrisbeeCatch=frisbee GolfSwing=golf_club Haircut=scissors Hammering=hammer
HorseRiding=horse Kayaking=kayak MoppingFloor=mop PizzaTossing=pizza PlayingGuitar=guitar PlayingPiano=piano
PlayingViolin=violin Rafting=raft SkateBoarding=skateboard Skiing=ski SkyDiving=parachute SoccerJuggling=soccer_ball
Surfing=surfboard TableTennisShot=table-tennis_table TennisSwing=tennis_racket TrampolineJumping=trampoline
Typing=computer_keyboard VolleyballSpiking=volleyball WalkingWithDog=dog
"""


@dataclass(frozen=True)
class Pictures:
    """Unit rows (R, D) of pictures by CLIP, the class of each, the name of each class, and names of none of them."""

    rows: np.ndarray
    labels: np.ndarray
    names: Mapping[str, str]
    absent: Sequence[str]


def pictures(folder: Path, place: Mapping[str, int]) -> dict[str, Pictures]:
    """Return the pictures of CIFAR-10 and the middle frames of the classes of UCF101 that an object names."""
    from framebank.store.vectors import unit

    with np.load(folder / "cifar10-images.npz") as saved:
        rows, classes = unit(saved["embeddings"]), saved["classes"].tolist()
        labels = np.array([classes[one] for one in saved["labels"].tolist()])
    cifar = {name: OF_LVIS.get(name, name) for name in classes}
    found = {"CIFAR-10": Pictures(rows, labels, cifar, NO_CLASS.split())}
    with np.load(folder / "ucf101-midframes.npz") as saved:
        rows, labels = unit(saved["features"][:, 0]), saved["label"]
    ucf = dict(pair.split("=") for pair in OF_UCF.split())
    far = [name for name in NO_CLASS.split() if name not in ucf.values()]
    found["UCF101, held-out objects and others"] = Pictures(rows, labels, ucf, far)
    found["UCF101, held-out objects"] = Pictures(rows, labels, ucf, ())
    assert {*NO_CLASS.split(), *ucf.values()} <= set(place)
    return found


def by_clip(folder: Path, *, rounds: int = 20, seed: int = 700) -> dict[str, dict[str, Any]]:
    """Return how many present queries are lost and absent ones refused among pictures that CLIP embedded.

    In each round half of the classes stay.
    """
    from framebank.heads.moments.background import Background, num_nearest
    from framebank.library.searching.moments import nearest_of
    from framebank.store.vectors import unit

    with np.load(folder / "lvis-names.npz") as texts:
        vectors, place = unit(texts["embeddings"]), {name: at for at, name in enumerate(texts["names"].tolist())}
    made: dict[str, dict[str, Any]] = {}
    for told, shown in pictures(folder, place).items():
        answers: list[tuple[bool, float, bool]] = []
        classes = sorted(shown.names)
        for number in range(rounds):
            rng = np.random.default_rng(seed + number)
            stay = {classes[at] for at in rng.permutation(len(classes))[: len(classes) // 2]}
            rows = shown.rows[np.isin(shown.labels, list(stay))]
            asked = [(name, one in stay) for one, name in shown.names.items() if name in place]
            asked += [(name, False) for name in shown.absent]
            background = Background(rows, vectors[rng.permutation(len(vectors))[:400]])
            for name, is_there in asked:
                vector = vectors[place[name]]
                nearest = nearest_of(rows, rows @ vector, num_nearest(len(rows)))
                answers.append((is_there, float((nearest @ vector).mean()), background.finds(vector, nearest)))
        made[told] = shares_of(answers)
    return made


def shares_of(answers: Sequence[tuple[bool, float, bool]]) -> dict[str, Any]:
    """Return what was lost and refused of answers: whether it is there, the cosine, and whether it was found."""
    present = [(cosine, found) for is_there, cosine, found in answers if is_there]
    absent = [(cosine, found) for is_there, cosine, found in answers if not is_there]
    cut = float(np.quantile([cosine for cosine, _ in present], LOST, method="lower"))
    return {
        "present": len(present),
        "absent": len(absent),
        "lost": float(np.mean([not found for _, found in present])),
        "refused": float(np.mean([not found for _, found in absent])),
        "flat cut": cut,
        "lost by the flat cut": float(np.mean([cosine < cut for cosine, _ in present])),
        "refused by the flat cut": float(np.mean([cosine < cut for cosine, _ in absent])),
    }


def kept(film: Any, rows: np.ndarray, times: np.ndarray, out: set[str]) -> np.ndarray:
    """Return the rows of a film without those of some actions."""
    stay = np.ones(len(times), dtype=bool)
    for span in film.truth:
        if span.label in out:
            stay &= ~((times >= span.start) & (times < span.end))
    return rows[stay]


def hour(world: World) -> float:
    """Return the milliseconds of one core in which the moments of a film of 60 minutes at 2 rows a second are found."""
    from framebank.heads.moments.stretches import best_stretches, track_of

    every = np.concatenate([rows for rows, _ in world.rows])
    rows = np.resize(every, (7200, every.shape[1]))
    times = (np.arange(7200) + 0.5) / 2
    vector = world.embed(["a person waving"])[0]
    took = []
    for _ in range(5):
        began = time.process_time()
        best_stretches(track_of("hour", rows, times, vector), most=3)
        took.append(time.process_time() - began)
    return 1000 * float(np.median(took))


@click.command()
@click.option("--films", default=50, help="How many.")
@click.option("--fps", default=4.0, help="Rows of a second.")
@click.option("--seed", default=1, help="Draws the films; what the method was chosen on is seed 0.")
@click.option("--clip", type=click.Path(path_type=Path, exists=True), help="The folder of embeddings by CLIP.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(films: int, fps: float, seed: int, clip: Path | None, json_path: Path | None) -> None:
    """Measure and print three tables."""
    world = World(films, seed=seed, fps=fps)
    found: dict[str, Any] = {"films": films, "fps": fps, "seed": seed}
    print("| texts | way | R1@0.3 | R1@0.5 | R1@0.7 | median error of a boundary |\n|---|---|---|---|---|---|")
    for kind in ("names", "descriptions"):
        found[f"moments by {kind}"] = made = moments(world, kind)
        for way, row in made["ways"].items():
            rights = " | ".join(f"{100 * row[f'R1@{least}']:.1f}" for least in (0.3, 0.5, 0.7))
            print(f"| {kind} ({made['queries']}) | {way} | {rights} | {row['boundary']:.2f} s |")
    for kind in ("names", "descriptions"):
        for least in (0.5, 0.7):
            more = found[f"moments by {kind}"][f"more than the best window at {least}"]
            low, high = more["interval"]
            told = f"{100 * more['difference']:+.1f} points ({100 * low:.1f} to {100 * high:.1f})"
            print(f"{kind}, R1@{least}: {told} against windows of {more['window']}")
    print(
        "\n| texts | present | lost | absent | refused | lost by the flat cut | refused by the flat cut |"
        f"\n|{'---|' * 7}"
    )
    judged = {kind: nothing_found(world, kind) for kind in ("names", "descriptions")}
    if clip:
        judged |= by_clip(clip, seed=700 * seed)
    for kind, none in judged.items():
        found[f"nothing found by {kind}"] = none
        shares = [none[name] for name in ("lost", "refused", "lost by the flat cut", "refused by the flat cut")]
        lost, refused, flat_lost, flat_refused = (f"{100 * share:.1f} %" for share in shares)
        print(f"| {kind} | {none['present']} | {lost} | {none['absent']} | {refused} | {flat_lost} | {flat_refused} |")
    found["milliseconds of an hour"] = hour(world)
    print(f"\n60 minutes at 2 rows a second: {found['milliseconds of an hour']:.1f} ms")
    if json_path:
        json_path.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
