"""A protocol of two splits of the world of the heads, with its lists, and prompts of the classes."""

from pathlib import Path

from framebank.tests.worlds.heads import CLASSES, World

PROTOCOL = """name = "two"
about = "two splits"
kind = "supervised"

[[splits]]
train = ["train1.txt"]
test = ["test1.txt"]
train_videos = 40
test_videos = 9

[[splits]]
train = ["train2.txt"]
test = ["test2.txt"]
train_videos = 40
test_videos = 8
"""


def write_protocol(folder: Path, world: World) -> None:
    """Write two.toml, the lists that it names, and prompts.h5."""
    (folder / "two.toml").write_text(PROTOCOL)
    train = [f"{name}-train-{number}" for name in CLASSES for number in range(12)]
    test = [f"{name}-test-{number}" for name in CLASSES for number in range(5)]
    for split, (first, last) in {1: (0, 40), 2: (8, 48)}.items():
        (folder / f"train{split}.txt").write_text("".join(f"{name}.mp4\n" for name in train[first:last]))
    # one that the store does not have, and one without an embedding
    (folder / "test1.txt").write_text("".join(f"{name}.mp4\n" for name in [*test[:7], "missing", "lost"]))
    (folder / "test2.txt").write_text("".join(f"{name}.mp4\n" for name in test[5:13]))
    world.prompts.write(folder / "prompts.h5")
