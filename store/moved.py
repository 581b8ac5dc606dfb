"""Moved modules: scripts that import a module by its path of version 0.1.0 get the same module from its new place."""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# room -> sub-room -> names of its modules in 0.1.0; "old:new" if the module has another name now
PLACES = {
    "extract": {
        "cluster": "remote:remote_worker slices",
        "containers": "container",
        "decoders": "decode decord folder frames packets pyav source torchcodec",
        "encoders": "encoder preprocess streams text_tower views weights",
    },
    "heads": {
        "": "predict:predictions",
        "evaluation": "compare evaluate plot protocol zeroshot",
        "exchange": "export published",
        "fewshot": "episodes fewshot_job:job fewshot_recipe:recipe fewshot_run:run fewshot_scores:scores "
        "fewshot_tasks:tasks fewshot_train:loop matcher_name",
        "labelling": "calibrating:calibrate enrolling:enroll neighbours vote",
        "losses": "step",
        "training": "augment:augmentation dataset draw:batches folder head_mix job lexicon objective optimizer "
        "ranks:distributed recipe run train:loop",
    },
    "store": {
        "exchange": "arrays exports imports lookup:imported_prompts parquet sources tarred",
        "files": "lock",
        "indexes": "enrolment index",
        "upkeep": "adoption merge parts:subsets plan repair rewrite verify",
        "videos": "class_splits folders labels lists manifest splits tars video",
    },
}


def moved(room: str) -> dict[str, str]:
    """Return the old path of each module that left its place in a room, with its new one."""
    found = {}
    for sub, names in PLACES[room].items():
        for name in names.split():
            old, _, new = name.partition(":")
            found[f"framebank.{room}.{old}"] = ".".join(filter(None, ("framebank", room, sub, new or old)))
    return found


class MovedModules(MetaPathFinder, Loader):
    """What `import` asks for modules that are not in their old place any more; it warns with the new path."""

    def __init__(self, places: dict[str, str]) -> None:
        self.places = places
        self._spec_of: dict[str, ModuleSpec | None] = {}  # its own, of a module that is being imported by its old path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for an old path, None for every other."""
        return ModuleSpec(fullname, self) if fullname in self.places else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module from its new place; there is only one of it."""
        new = self.places[spec.name]
        warnings.warn(f"{spec.name} is now {new}", PendingDeprecationWarning, stacklevel=2)
        module = import_module(new)
        self._spec_of[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back: importing it by the old path must not rename it."""
        name = module.__spec__.name if module.__spec__ else ""
        module.__spec__ = self._spec_of.pop(name, module.__spec__)


def serve_moved(room: str) -> None:
    """Let the old paths of a room be imported."""
    sys.meta_path.append(MovedModules(moved(room)))
