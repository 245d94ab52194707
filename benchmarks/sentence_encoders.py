"""Sentence encoders against sentence-transformers: its own losses, and what it reads out of a folder saved here.

Not a matter of speed: the figures are the largest differences, of losses and gradients in float64, and of embeddings in
float32. The peer runs in `.venv-peers`; all-MiniLM-L6-v2 comes from `make models`.

    make peers models
    python benchmarks/sentence_encoders.py
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Row, ask_peer, data_folder, report, versions
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

import manyways as mw
from manyways.methods.metric_learning.sentence_pairs import cosent_loss, ranking_loss
from manyways.randomness import generator

CASES = ((2, 2), (5, 5), (16, 32), (64, 64))
"""Pairs in a batch, and texts that each anchor picks from."""
TEXTS = 64

PEER = """
import json, sys
from importlib.metadata import version
import numpy as np
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.losses import CoSENTLoss, MultipleNegativesRankingLoss

class Given(torch.nn.Module):
    def forward(self, features):
        return features

given = load_file(sys.argv[1])
worst = {"ranking": 0.0, "cosent": 0.0}
for case in range(int(sys.argv[2])):
    anchors, others = (given[f"{case}.{side}"] for side in ("anchors", "others"))
    pairs = len(anchors)
    sides = [anchors, *others.split(pairs)]
    for name, count, kind in (("ranking", len(sides), MultipleNegativesRankingLoss), ("cosent", 2, CoSENTLoss)):
        leaf = anchors.clone().requires_grad_(True)
        features = [{"sentence_embedding": leaf if not at else side} for at, side in enumerate(sides[:count])]
        loss = kind(Given(), scale=20.0)(features, given[f"{case}.scores"])
        (slope,) = torch.autograd.grad(loss, leaf)
        for ours, theirs in ((given[f"{case}.{name}"], loss), (given[f"{case}.{name}.slope"], slope)):
            worst[name] = max(worst[name], float((ours - theirs.reshape(ours.shape)).abs().max()))
vectors = SentenceTransformer(sys.argv[3], device="cpu").encode(json.loads(sys.argv[4]))
np.save(sys.argv[5], vectors)
print(json.dumps([worst, version("sentence-transformers")]))
"""


def run() -> list[Row]:
    """The largest differences."""
    models = Path(os.environ.get("MANYWAYS_MODELS") or Path(__file__).parents[1] / ".models")
    data = mw.read(str(data_folder("stsb")), input=("column_0", "column_1"), label="column_2")
    few = data.select(np.flatnonzero(data.part[data.rows] == 0)[:64])
    model = mw.SentencePairs(backbone=str(models / "all-MiniLM-L6-v2"), batch_size=8).fit(few, budget="2 steps")
    texts = data.test.take("column_0")[:TEXTS].tolist()
    with tempfile.TemporaryDirectory() as place:
        losses, vectors = Path(place) / "losses.safetensors", Path(place) / "vectors.npy"
        save_file({name: tensor.contiguous() for name, tensor in _losses().items()}, losses)
        folder = model.save(Path(place) / "model")
        answer = ask_peer(PEER, str(losses), str(len(CASES)), str(folder), json.dumps(texts), str(vectors))
        worst, peer = json.loads(answer.splitlines()[-1])
        apart = float(np.abs(np.load(vectors) - mw.load(folder).embed(texts)).max())
    rows = [_row(f"the loss {name} in float64, values and gradients", each, 1e-6, peer) for name, each in worst.items()]
    return [*rows, _row(f"embeddings of {TEXTS} texts by a folder saved here, float32", apart, 1e-5, peer)]


def _row(name: str, difference: float, allowed: float, peer: str) -> Row:
    return {
        "name": f"{name}: the largest difference",
        "ours": difference,
        "peer": 0.0,
        "unit": "apart",
        "ratio": None,
        "target": f"≤ {allowed:g}",
        "versions": {**versions(), "sentence-transformers": peer},
    }


def _losses() -> dict[str, Tensor]:
    tensors: dict[str, Any] = {}
    for case, (pairs, candidates) in enumerate(CASES):
        anchors = torch.randn(pairs, 24, generator=generator(case), dtype=torch.float64).requires_grad_(True)
        others = torch.randn(candidates, 24, generator=generator(case, 1), dtype=torch.float64)
        scores = torch.randint(0, 5, (pairs,), generator=generator(case, 2)).double()
        a, b = normalize(anchors, dim=1), normalize(others, dim=1)
        tensors |= {f"{case}.anchors": anchors.detach(), f"{case}.others": others, f"{case}.scores": scores}
        for name, loss in (
            ("ranking", ranking_loss(a, b, 0.05)),
            ("cosent", cosent_loss((a * b[:pairs]).sum(1), scores, 0.05)),
        ):
            (slope,) = torch.autograd.grad(loss, anchors, retain_graph=True)
            tensors |= {f"{case}.{name}": loss.detach(), f"{case}.{name}.slope": slope}
    return {name: tensor.clone() for name, tensor in tensors.items()}


if __name__ == "__main__":
    report("sentence_encoders", run())
