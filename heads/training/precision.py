"""Precision: in which numbers a head computes in training."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PRECISIONS = ("fp32", "bf16", "auto")


def computed_precision(asked: str, device: "torch.device", *, head: str, epochs: int) -> tuple[str, tuple[str, ...]]:
    """Return the precision that a head computes in on a device, and a note if it is not the bf16 that was asked for.

    A head without parameters multiplies no matrices, and a training without epochs makes no step: both compute in fp32.
    """
    from framebank.heads import HEADS

    precision = resolve_precision(asked, device) if HEADS[head].traits.learns and epochs else "fp32"
    why = f"the head {head} has no parameters and multiplies no matrices" if epochs else "nothing is trained by steps"
    note = f"precision bf16 changes nothing, because {why}; the run says fp32"
    return precision, (note,) if asked == "bf16" != precision else ()


def resolve_precision(precision: str, device: "torch.device") -> str:
    """Return what "auto" means on a device: bf16 where the hardware multiplies it, fp32 elsewhere. Others stay."""
    if precision != "auto":
        return precision
    return "bf16" if multiplies_bf16(device) else "fp32"


def multiplies_bf16(device: "torch.device") -> bool:
    """Return whether the hardware multiplies bf16: a GPU that does, or a CPU with AMX or AVX512-BF16."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
