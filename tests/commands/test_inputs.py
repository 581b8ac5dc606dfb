"""Wrong usage and inputs that are not there are told before anything heavy is loaded."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from framebank.cli import main
from framebank.commands import names
from framebank.commands.inputs import MADE, OWN, SHARED, require_outputs
from framebank.store import DataError
from framebank.tests.places import TESTS

HEAVY = {"torch", "faiss", "av", "open_clip", "decord", "torchcodec", "ray", "matplotlib"}

# Each line is wrong: the exit code, what is told, and the command. "there" is a folder, "no" leads nowhere.
WRONG = """
2|--model is required|extract there out
2|is empty; expected a path|extract '' out --model demo
1|circle/new: is a link that leads to itself|extract there circle/new --model demo
2|nan is not a number|extract there out --model demo --limit nan
2|nan is not a number|train there out --save-every nan
2|--fps and --stride exclude each other|extract there out --model demo --fps 2 --stride 3
2|--shard is '9/4'|extract there out --model demo --shard 9/4
2|--address is the address of a Ray cluster|extract there out --model demo --address a:1
2|--actions cuts the videos|extract there out --model demo --actions
2|is not one of 'auto'|extract there out --model demo --decoder vlc
1|no: no such file or folder; expected a folder, a manifest CSV|extract no out --model demo
1|no: no such split file|extract there out --model demo --split-file no
1|no: no such labels file|prompts no out --model demo
2|--like or --model is required|prompts there out
2|--like brings its own|prompts there out --like there --model demo
2|--import needs --like|prompts there out --import there
1|no: no such store|zeroshot no
1|no: no such file; expected one made by `framebank prompts`|zeroshot there --prompts no
2|--prompts holds its own classes|zeroshot there --prompts there --labels there
1|there: holds no shard|zeroshot there
1|no: no such store|adapt no out
1|there: holds no shard|adapt there out
2|'nothing' is not one of 'full', 'lora', 'ted'|adapt there out --method nothing
2|--prompts holds its own classes|adapt there out --prompts there --texts names
1|no: no such store|train no out
1|there: holds no shard|train there out
2|'nothing' is not one of mean,|train there out --head nothing
2|'nothing' is not one of text,|train there out --classifier nothing
2|--set is 'lr'; expected key=value|train there out --set lr
2|--set gives lr twice|train there out --set lr=1 --set lr=2
1|a recipe has no key 'lrr'; the nearest is 'lr'|train there out --set lrr=1
1|'nose' has no options|train there out --set nose.size=1
2|--head-mix is 'much'|train there out --head-mix much
1|no recipe is named 'nothing'; expected one of a5,|train there out --recipe nothing
1|loss 'nothing' is not known; expected one of kl,|train there out --loss nothing
1|no: no such run|evaluate no
1|no: no such store|evaluate there --store no
1|no: no such store|compare no out
2|expected --seeds|compare there out --set seed=1
1|no: no such store|eval no --protocol supervised
1|no: no such folder; expected the folder of the official lists|eval there --protocol ucf101 --lists no
1|no: no such results|results no
1|no: no such run|temperature no
1|no: no such run|thresholds no
2|--off takes the thresholds out|thresholds there --off --precision 0.5
2|--sets and --abstain-below go with --run|label there --index there --sets 0.9
1|no: no such run|compare-runs there no
1|no: no such run or store|report no out.html
2|expected RUN_A RUN_B|compare-runs there
1|no recipe is named 'nothing'|compare there out --recipes a5,nothing
1|no: no such store|fewshot no
1|the matcher 'nothing' is not known; expected one of mean|fewshot there --matcher nothing
2|expected NAME=VALUE|fewshot there --option smoothing
2|--option is for one --matcher|fewshot there --matcher all --option smoothing=1
1|no: no such run; expected a folder made by `framebank fewshot-train`|fewshot there --run no
2|there is no other class|fewshot there --way 1
2|--query is not for --way 0|fewshot there --way 0 --query 2
2|are for --way 0|fewshot there --support-split train
2|--prompts holds its own classes|fewshot there --prompts there --texts names
2|--shots is '1,x'|fewshot-compare there out --shots 1,x
1|the matcher 'nothing' is not known|fewshot-compare there out --matchers mean,nothing
1|the matcher 'nothing' is not known|fewshot-train there out --matcher nothing
2|expected NAME=VALUE|fewshot-train there out --option metric
1|no: no such store|fewshot-train no out
1|no: no such store|index no out
1|there: holds no shard|index there out
2|'50' is not a time above 0; expected one such as 50ms|index there out --budget 50
2|--remove and --add name videos of an existing index|index there out --remove a
2|--update keeps the level and the type of INDEX|index there out --update --type ivf
1|no: is not an index|index-merge no out
1|no: is not an index|index-push no --to qdrant::memory:
2|give --text, --video, --image or --id, or several of them|search there
2|expected text, video, image, id, minus-text, then = and numbers above 0|search there --text a --weight text=0
2|'text=1,2'; expected one number, or one for each --text|search there --text a --weight text=1,2
2|--weight is 'id=2', but no --id is given|search there --text a --weight id=2
2|--weight says how much each of several queries counts|search there --text a --weight text=2
2|--where is empty|search there --text a --where ''
2|give all three, once for each|search there --id a --id b --from 1 --to 2
2|--text is empty|search there --text ''
1|no: is not an index|search no --text a
1|no: no such file; expected a video|search there --video no
2|--store is the store whose rows are read|search there --id a --store there
1|no: no such store|search there --text a --moments --store no
2|--from and --to are the start and the end of a moment|search there --id a --from 3
2|--from and --to are the start and the end of a moment|search there --text a --from 3 --to 4
1|no: is not an index|evaluate-search no there
1|no: no such file; expected a CSV of text|evaluate-search there no
1|no: no such store|shots no
1|s.txt: does not have the name of a file of spans|shots there --csv s.txt
1|no: no such store|duplicates no
1|no: no such store|suspects no
1|no: no such store|duplicates there no
2|1.0 is not in the range|duplicates there --least 1
2|give at least one of --run, --index and --labels|label there
2|go with --labels|label there --run there --templates bare
2|--like or --model is required|label there --labels there
1|no: is not an index|label there --index no
2|give at least one of --bank, --index and --run|label-store there
2|--like or --model is required|labels build out
2|--like brings its own|labels build out --like there --model demo
1|no: no such store|labels build out --like no
1|no: no such label bank|label-store there --bank no
1|no: no such store|label-store no --bank there
2|give at least one clip|enroll there juggling
1|no: no such file; expected a video|enroll there juggling no
1|no: is not an index|unenroll no juggling
2|--split needs a STORE|calibrate there --split val
1|no: no such store|calibrate there no
1|no: no such store|store info no
1|no: no such store|store show no a
1|no: no such store|store verify no
1|no: no such store|store repair no
1|no: no such file or folder; expected a store|verify no
1|there: was not written by framebank; expected a store|verify there
1|no: no such store|store merge there no out
2|expected one of --by and --videos|store split there out
1|no: no such file; expected video_ids|store split there out --videos no
1|no: no such store|store rm no a
1|no: no such store|store status no
1|no: no such store|store hold-out no
1|no: no such store|store relabel no --set a=b
1|no: no such file; expected a CSV|store relabel there no
1|no: no such file or folder; expected a store|predict no --run there
2|give at least one of --run, --index, --labels and --prompts|predict there
1|no: no such run|predict there --run no
2|--prompts holds its own classes|predict there --prompts there --labels there
1|no: no such file or folder; expected a folder of features|store import no out
1|no: no such store|store export no out
1|no: no such file; expected a file of spans|store export there out --format fiftyone --spans no
2|go with --format fiftyone|store export there out --run there
1|no: no such run|export-head no head.onnx
1|there: is a folder; expected a file|prompts there there --model demo
1|there: is a folder; expected a file|report there there
1|there: is a folder; expected a file|search there --text a --sheet there
1|there: is a folder; expected a file|shots there --csv there
1|there: is a folder; expected a file|suspects there --csv there
1|there: is a folder; expected a file|predict there --run there --csv there
1|there: is a folder; expected a file|labels build there --like there
1|there: is a folder; expected a file|label-store there --run there --out there
1|there: is a folder; expected a file|export-head there there
1|expected a name that ends in .onnx|export-head there head.txt
1|no: no such file; expected a checkpoint of ActionCLIP|import-checkpoint no out
""".strip().splitlines()

SCRIPT = f"""
import shlex, sys
sys.path.insert(0, {str(TESTS)!r})
import conftest
from click.testing import CliRunner
from framebank.cli import main
for number, line in enumerate(sys.stdin.read().splitlines()):
    code, told, command = line.split("|")
    result = CliRunner().invoke(main, shlex.split(command))
    loaded = sorted({HEAVY!r} & set(sys.modules))
    text = " ".join(result.stderr.split())
    assert result.exit_code == int(code) and told in text and not loaded, (command, text, loaded, result.exception)
"""


def test_nothing_heavy_is_loaded_before_wrong_usage_is_told(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input="\n".join(WRONG),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["circle", "there"]


def commands(group: click.Group = main) -> Iterator[click.Command]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from commands(command)
        else:
            yield command


TOLD_LATER = {("label", "videos"), ("extract", "videos")}  # beside others, and by whoever reads them


@pytest.mark.parametrize("command", list(commands()), ids=lambda command: command.name)
def test_every_path_is_looked_for_or_made(command: click.Command) -> None:
    name = str(command.name)
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):
            key = str(parameter.name)
            known = key in SHARED or key in OWN.get(name, {})
            made = key in MADE.get(name, ()) or (name, key) in TOLD_LATER
            assert known != made, f"{name}: {key}"


def test_nothing_is_made_inside_a_store_a_run_or_an_index(tmp_path: Path) -> None:
    marks = {"store": ("writer.lock",), "run": ("checkpoint.safetensors", "recipe.toml")}
    marks["index"] = ("index.faiss", "spec.json")
    for kind, files in marks.items():
        (tmp_path / kind).mkdir()
        for file in files:
            (tmp_path / kind / file).touch()
        for command, names_made in MADE.items():
            for name in names_made:
                with pytest.raises(DataError, match=f"is inside the {kind} "):
                    require_outputs(command, {name: tmp_path / kind / "new" / "a.csv"})
                require_outputs(command, {name: tmp_path / "new" / "a.csv"})
    with pytest.raises(DataError, match="is the index "):
        require_outputs("search", {"preview": tmp_path / "index"})
    with pytest.raises(DataError, match="is the run "):
        require_outputs("eval", {"runs": tmp_path / "run"})
    require_outputs("train", {"run": tmp_path / "run"})
    require_outputs("report", {"what": (tmp_path / "run",), "out": tmp_path / "run" / "README.md"})
    for mine in ("manifest.csv", "recipe.toml", "spec.json"):  # of the user, in the working directory
        (tmp_path / mine).touch()
    require_outputs("train", {"run": tmp_path / "new"})


def test_a_file_that_is_read_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("run\n")
    (tmp_path / "link.h5").symlink_to("classes.txt")
    for out in (tmp_path / "classes.txt", tmp_path / "link.h5"):
        with pytest.raises(DataError, match="is read by this command; expected another place"):
            require_outputs("prompts", {"labels": tmp_path / "classes.txt", "out": out, "like": None})
    with pytest.raises(DataError, match="is read by this command"):
        require_outputs("build", {"bank": tmp_path / "link.h5", "sources": ("ucf101", str(tmp_path / "classes.txt"))})
    require_outputs("prompts", {"labels": tmp_path / "classes.txt", "out": tmp_path / "new.h5"})


def test_the_lines_above_are_of_every_command() -> None:
    tried = {
        (words[1] if words[0] in ("store", "labels") else words[0])
        for words in (line.split("|")[2].split() for line in WRONG)
    }
    assert [command.name for command in commands() if command.name not in tried] == ["demo"]


def test_names_are_those_of_the_tables() -> None:
    from framebank import heads
    from framebank.heads.fewshot.matcher_name import untrained_matchers

    for name in ("HEADS", "CLASSIFIERS", "SCORERS", "LOSSES"):
        assert getattr(names, name) == tuple(getattr(heads, name)), name
    assert set(names.MATCHERS) == set(heads.MATCHERS)
    assert untrained_matchers() == names.UNTRAINED
