"""Jobs on stored rows do not wait for the libraries of encoders, which take seconds to load."""

import subprocess
import sys

from framebank.tests.places import ROOT

HEAVY = {"open_clip", "torchvision", "torchmetrics", "transformers", "timm", "av"}
JOBS = """
import framebank as fb
run = fb.train({bank!r}, {folder!r} + "/run", recipe="ridge")
run.evaluate()
fb.index({bank!r}, {folder!r} + "/index", run=run)
fb.suspects({bank!r})
"""


def test_training_evaluation_and_an_index_load_no_library_of_encoders(bank, tmp_path):
    start = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import conftest\n"
    end = "\nprint('loaded', *sys.modules)"
    code = start + JOBS.format(bank=str(bank.path), folder=str(tmp_path)) + end
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(told.splitlines()[-1].split())
