"""Fixed: what a protocol says of frames, class names and templates, so that a caller cannot say something else."""

from dataclasses import replace

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
        raise DataError(
            f"{where}: the first template is {bank.templates[0]!r} of {len(bank.templates)}; the protocol "
            f"{protocol.name!r} has {protocol.templates[0]!r} of {len(protocol.templates)}"
        )
    odd = set(map(class_text, bank.labels.names)) ^ set(map(class_text, protocol.class_names))
    if protocol.class_names and odd:
        raise DataError(f"{where}: the class {sorted(odd)[0]!r} is not in both the prompts and the protocol")
    return replace(asked, prompts=bank)
