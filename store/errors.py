"""The one error that is the user's to mend."""


class DataError(Exception):
    """What the user gave is wrong: one sentence saying which thing, what it is, and what was expected."""
