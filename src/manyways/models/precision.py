"""Precision: the arithmetic that this machine is fast in."""

import torch


def fast_bfloat16(device: torch.device) -> bool:
    """True if `device` has matrix units for bfloat16; elsewhere it is emulated and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
