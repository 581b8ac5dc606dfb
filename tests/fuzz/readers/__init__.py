"""Every reader of files, so that mutated inputs can be tried; a new one is one row in the module of its kind."""

from framebank.tests.fuzz.readers.imports import IMPORTS
from framebank.tests.fuzz.readers.indexes import INDEXES
from framebank.tests.fuzz.readers.lists import LISTS
from framebank.tests.fuzz.readers.reader import Reader
from framebank.tests.fuzz.readers.runs import RUNS
from framebank.tests.fuzz.readers.stores import STORES

READERS: dict[str, Reader] = {**STORES, **INDEXES, **RUNS, **LISTS, **IMPORTS}
