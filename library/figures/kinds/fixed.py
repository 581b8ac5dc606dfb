"""Fixed: what a protocol says of frames, class names and templates, so that a caller cannot say something else."""

from dataclasses import replace
from itertools import zip_longest

from framebank.library.figures.kinds.kind import ProtocolRequest
from framebank.store.errors import DataError


def with_fixed(asked: ProtocolRequest) -> ProtocolRequest:
    """Return the request with the class names and templates of its protocol.

    DataError if the store holds other frames than the protocol says, if the caller gives what the protocol fixes, or if
    prompts are of other classes or templates.
    """
    protocol = asked.protocol
    if protocol.sampling and protocol.sampling != asked.store.spec.sampling:
        raise DataError(
            f"{asked.store.path}: holds the frames {asked.store.spec.sampling!r}; the protocol {protocol.name!r} is of "
            f"{protocol.sampling!r}"
        )
    pairs = (("labels", protocol.class_names, asked.labels), ("templates", protocol.templates, asked.templates))
    both = next((name for name, fixed, given in pairs if fixed and given), None)
    if both:
        raise DataError(f"the protocol {protocol.name!r} fixes the {both}; expected no --{both}")
    if asked.prompts:
        return _with_prompts(asked)
    labels, templates = protocol.class_names or asked.labels, protocol.templates or asked.templates
    return replace(asked, labels=labels, templates=templates)


def _with_prompts(asked: ProtocolRequest) -> ProtocolRequest:
    """Return the request with its prompts read. DataError if they are not those of the protocol."""
    from framebank.store import PromptBank
    from framebank.store.videos.labels import class_text

    protocol = asked.protocol
    if not (protocol.class_names or protocol.templates):
        return asked
    bank = asked.prompts if isinstance(asked.prompts, PromptBank) else PromptBank.read(str(asked.prompts))
    where = "the prompts" if bank is asked.prompts else asked.prompts
    if protocol.templates and bank.templates != protocol.templates:
        pairs = enumerate(zip_longest(bank.templates, protocol.templates), start=1)
        number, (mine, theirs) = next(pair for pair in pairs if len(set(pair[1])) > 1)
        raise DataError(
            f"{where}: the template {number} is {_quoted(mine)}; the protocol {protocol.name!r} has "
            f"{_quoted(theirs)} there"
        )
    odd = set(map(class_text, bank.labels.names)) ^ set(map(class_text, protocol.class_names))
    if protocol.class_names and odd:
        raise DataError(f"{where}: the class {sorted(odd)[0]!r} is not in both the prompts and the protocol")
    return replace(asked, prompts=bank)


def _quoted(template: str | None) -> str:
    return "none" if template is None else repr(template)
