"""The group of all commands, which turns an error in what the user gave into one sentence."""

import os
from pathlib import Path
from typing import Any

import click

from framebank import __version__
from framebank.commands.adapt import adapt
from framebank.commands.compare import compare
from framebank.commands.compare_runs import compare_runs
from framebank.commands.demo import demo
from framebank.commands.duplicates import duplicates
from framebank.commands.enroll import calibrate, enroll, unenroll
from framebank.commands.evaluate import evaluate, zeroshot
from framebank.commands.evaluate_search import evaluate_search
from framebank.commands.extract import extract
from framebank.commands.fewshot import fewshot, fewshot_compare
from framebank.commands.fewshot_train import fewshot_train
from framebank.commands.group import Group
from framebank.commands.hold_out import hold_out
from framebank.commands.index import index, index_merge, index_push
from framebank.commands.inputs import checked
from framebank.commands.label import label
from framebank.commands.label_store import label_store
from framebank.commands.labels import labels
from framebank.commands.models_in_and_out import export_head, import_checkpoint
from framebank.commands.predict import predict
from framebank.commands.printing import printed_warnings
from framebank.commands.prompts import prompts
from framebank.commands.protocols import evaluate_by, results
from framebank.commands.relabel import relabel, status
from framebank.commands.repair import repair, verify_store
from framebank.commands.report import report
from framebank.commands.search import search
from framebank.commands.shots import shots
from framebank.commands.signals import ended_by_signals
from framebank.commands.store import store
from framebank.commands.store_exchange import export_features, import_features
from framebank.commands.store_subsets import merge, rm, show, split
from framebank.commands.suspects import suspects
from framebank.commands.temperature import temperature
from framebank.commands.thresholds import thresholds
from framebank.commands.train import train
from framebank.commands.verify import verify

# Commands that have the cores to themselves: steps are short, and threads that sleep between them lose half the speed.
TRAINING = ("train", "adapt", "compare", "evaluate", "eval", "fewshot", "fewshot-compare", "fewshot-train")


class Door(Group):
    """A group whose DataErrors are one sentence on stderr and exit code 1."""

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        """Read the arguments; a signal that was heard while the commands were loaded is answered here."""
        return ended_by_signals(lambda: super(Door, self).make_context(*given, **more))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command, and set how the threads of torch wait; torch reads this when it is loaded.

        They sleep, because spinning threads take the cores from the decoders; in training they first spin for about a
        tenth of a millisecond.
        """
        found = super().resolve_command(ctx, args)
        short = ("GOMP_SPINCOUNT", "30000") if found[0] in TRAINING else ("OMP_WAIT_POLICY", "PASSIVE")
        os.environ.setdefault(*short)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its warnings go to stderr, each one once.

        Without a current folder, as where another terminal removed it, no path means anything: nothing is begun. After
        Ctrl-C or a signal that asks to end, it cleans up and exits with 128 plus the number of the signal.
        """
        if not _has_current_folder():
            raise click.ClickException("the current folder is not there any more; change to one that is")
        return ended_by_signals(lambda: self._invoke(ctx))

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            with printed_warnings():
                return super().invoke(ctx)
        except Exception as error:
            from framebank.store import DataError  # here, so that --help loads neither h5py nor numpy

            if isinstance(error, DataError):
                raise click.ClickException(str(error)) from error
            raise


def _has_current_folder() -> bool:
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


@click.group(cls=Door, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, prog_name="framebank")
def main() -> None:
    """Turn videos into a bank of frame embeddings once; train, recognise, search and label from the bank.

    \b
    framebank demo                                  the whole chain on a small rendered world
    framebank extract VIDEOS STORE --model ViT-B-16 --pretrained openai
    framebank zeroshot STORE                        recognise without training
    framebank train STORE RUN                       and with it, in seconds
    framebank evaluate RUN
    framebank adapt STORE OUT                       train inside the encoder
    framebank compare STORE OUT                     every recipe, one table
    framebank compare-runs RUN_A RUN_B              which of two is better
    framebank report RUN OUT.html                   one page that shows a run, runs or a store
    framebank fewshot STORE                         new classes by a few videos of each
    framebank index STORE INDEX
    framebank search INDEX --text "a person juggling"
    framebank enroll INDEX LABEL CLIP...            a class of your own by a few clips
    framebank label VIDEO --index INDEX
    framebank predict STORE --run RUN --csv OUT     a label for every video of a bank
    """


for command in (
    demo,
    extract,
    prompts,
    zeroshot,
    train,
    adapt,
    evaluate,
    evaluate_by,
    results,
    compare,
    compare_runs,
    temperature,
    thresholds,
    report,
    fewshot,
    fewshot_compare,
    fewshot_train,
    index,
    index_merge,
    index_push,
    search,
    evaluate_search,
    shots,
    duplicates,
    suspects,
    label,
    label_store,
    labels,
    predict,
    enroll,
    unenroll,
    calibrate,
    verify,
    store,
    export_head,
    import_checkpoint,
):
    main.add_command(command)
for part in (show, status, verify_store, repair, relabel, hold_out, merge, split, rm, import_features, export_features):
    store.add_command(part)
checked(main)

if __name__ == "__main__":
    main()
