"""Formulas against other libraries' own: CLIP's and SigLIP's losses (open_clip), combined gradients (torchjd).

Not a matter of speed: the figure is the largest difference, of values and of gradients, in float64. The peers run in
`.venv-peers`.

    make peers
    python benchmarks/oracles.py
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from common import Row, ask_peer, report, versions
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from manyways.methods.multi_modal.clip import pair_loss, sigmoid_pair_loss
from manyways.methods.multi_task._combinations import cagrad, upgrad, without_conflicts
from manyways.randomness import generator

ALLOWED = {"CAGrad": 1e-3, "UPGrad": 1e-4}
"""The largest differences; 1e-6 for others. Both solve a problem, and CAGrad's peer stops early."""
CASES = ((2, 1.0), (5, 14.3), (16, 50.0), (64, 100.0), (128, 10.0), (256, 3.0))
"""Pairs in a batch, and what similarities are multiplied by."""
GRADIENTS = 8
"""Sets of gradients, of two to five labels."""

PEER = """
import importlib.util, json, sys
from importlib.metadata import version
from pathlib import Path
import torch
from safetensors.torch import load_file
from torchjd.aggregation import CAGrad, PCGrad, UPGrad
from torchjd.linalg import QuadprogProjector

# The file alone: the package itself would load torchvision, which the losses have no use for.
place = Path(importlib.util.find_spec("open_clip").origin).with_name("loss.py")
spec = importlib.util.spec_from_file_location("losses", place)
losses = importlib.util.module_from_spec(spec)
spec.loader.exec_module(losses)
given = load_file(sys.argv[1])
worst = {"CLIP": 0.0, "SigLIP": 0.0, "PCGrad": 0.0, "UPGrad": 0.0, "CAGrad": 0.0}
for case in range(int(sys.argv[2])):
    a, b, scale, bias = (given[f"{case}.{name}"] for name in ("a", "b", "scale", "bias"))
    a.requires_grad_(True)
    for name, loss in (("CLIP", lambda: losses.ClipLoss()(a, b, scale)),
                       ("SigLIP", lambda: losses.SigLipLoss()(a, b, scale, bias))):
        value = loss()
        (slope,) = torch.autograd.grad(value, a)
        for ours, theirs in ((given[f"{case}.{name}"], value), (given[f"{case}.{name}.slope"], slope)):
            worst[name] = max(worst[name], float((ours - theirs).abs().max()))
for case in range(int(sys.argv[3])):
    torch.manual_seed(case)
    theirs = PCGrad()(given[f"gradients.{case}"])
    worst["PCGrad"] = max(worst["PCGrad"], float((given[f"combined.{case}"] - theirs).abs().max()))
    exact = QuadprogProjector(reg_eps=1e-9, norm_eps=1e-12)
    for name, combine in (("UPGrad", UPGrad(projector=exact)), ("CAGrad", CAGrad(0.4, norm_eps=1e-12))):
        theirs = combine(given[f"gradients.{case}"])
        worst[name] = max(worst[name], float((given[f"{name}.{case}"] - theirs).abs().max()))
print(json.dumps([worst, {name: version(name) for name in ("open_clip_torch", "torchjd")}]))
"""


def run() -> list[Row]:
    """The largest differences."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "ours.safetensors"
        tensors = {**_losses(), **_gradients()}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
        worst, peers = json.loads(ask_peer(PEER, str(file), str(len(CASES)), str(GRADIENTS)))
    against = dict.fromkeys(worst, "torchjd") | {"CLIP": "open_clip_torch", "SigLIP": "open_clip_torch"}
    return [_row(name, difference, against[name], peers) for name, difference in worst.items()]


def _row(name: str, difference: float, peer: str, peers: dict[str, str]) -> Row:
    return {
        "name": f"{name} in float64: the largest difference of values and gradients",
        "ours": difference,
        "peer": 0.0,
        "unit": "apart",
        "ratio": None,
        "target": f"≤ {ALLOWED.get(name, 1e-6):g}",
        "versions": {**versions(), peer: peers[peer]},
    }


def _losses() -> dict[str, Tensor]:
    found: dict[str, Any] = {}
    for case, (pairs, scale) in enumerate(CASES):
        a, b = normalize(torch.randn(2, pairs, 32, generator=generator(case), dtype=torch.float64), dim=2).unbind()
        a = a.clone().requires_grad_(True)
        told, bias = torch.tensor([scale, case - 10.0], dtype=torch.float64)
        found |= {f"{case}.a": a.detach(), f"{case}.b": b.clone(), f"{case}.scale": told, f"{case}.bias": bias}
        for name, loss in (("CLIP", pair_loss(a, b, told)), ("SigLIP", sigmoid_pair_loss(a, b, told, bias))):
            (slope,) = torch.autograd.grad(loss, a)
            found |= {f"{case}.{name}": loss.detach(), f"{case}.{name}.slope": slope}
    return {name: tensor.clone() for name, tensor in found.items()}


def _gradients() -> dict[str, Tensor]:
    found = {}
    for case in range(GRADIENTS):
        gradients = torch.randn(2 + case % 4, 50, generator=generator(case), dtype=torch.float64)
        gradients = gradients - gradients.mean(0) * (case % 2)  # what sums to nothing surely conflicts
        torch.manual_seed(case)
        orders = [torch.randperm(len(gradients)).tolist() for _ in gradients]
        combined = without_conflicts(gradients @ gradients.T, orders) @ gradients
        found |= {f"gradients.{case}": gradients, f"combined.{case}": combined}
        # Those of torchjd are means.
        found |= {f"UPGrad.{case}": upgrad(gradients) / len(gradients)}
        found |= {f"CAGrad.{case}": cagrad(gradients, 0.4) / len(gradients)}
    return found


if __name__ == "__main__":
    report("oracles", run())
