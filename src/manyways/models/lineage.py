"""Lineage: what made a model, and which rows shaped it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.checked_json import DAMAGED, described
from manyways.data.columns import places_of
from manyways.errors import ModelError


def no_rows() -> NDArray[np.uint64]:
    """An empty list of row ids."""
    return np.empty((0, 2), np.uint64)


@dataclass(frozen=True, eq=False)
class Lineage:
    """One stage of a model's making: the method with all fields, the data, the rows, and the models before it.

    `rows` are the ids (uint64 [rows, 2]) of the rows that shaped this stage; `parents` are the lineages of the
    models it started from or learned from; `facts` is what the method states besides its fields, as JSON values: who
    took part, which privacy is guaranteed. `labels` are the ids of the rows whose true label the stage was shown, where
    the data had an allowance of labels; a store does not keep them. What makes a training repeatable: `plan` holds the
    steps that the budget was turned into, of each part by name (see `Planned`), `machine` what besides versions decides
    the last bits of a sum.
    """

    method: Mapping[str, Any]
    title: str
    seed: int
    budget: str
    data: str
    fingerprint: str
    rows: NDArray[np.uint64] = field(default_factory=no_rows, repr=False)
    parents: "tuple[Lineage, ...]" = ()
    steps: int = 0
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Sequence[int]] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    labels: NDArray[np.uint64] = field(default_factory=no_rows, repr=False)

    def all_rows(self) -> NDArray[np.uint64]:
        """The ids of all rows that shaped the model, through every parent, each once."""
        stacked = np.concatenate([stage.rows for stage in self.stages()])
        return np.unique(stacked, axis=0) if len(stacked) else stacked

    def all_labels(self, start: "Lineage | None" = None) -> NDArray[np.uint64]:
        """The ids of all rows whose true label any stage was shown, each once; without those of `start`, before it."""
        labelled = [stage.labels for stage in self.stages_since(start) if len(stage.labels)]
        return np.unique(np.concatenate(labelled), axis=0) if labelled else no_rows()

    def stages(self) -> "list[Lineage]":
        """This stage and all before it, the latest first."""
        return [self, *(stage for parent in self.parents for stage in parent.stages())]

    def stages_since(self, start: "Lineage | None") -> "list[Lineage]":
        """This stage and all before it, the latest first; without those of `start`, before it."""
        earlier = {json.dumps(stage.to_json()) for stage in start.stages()} if start else set()
        return [stage for stage in self.stages() if not earlier or json.dumps(stage.to_json()) not in earlier]

    def without(self, ids: NDArray[np.uint64]) -> "Lineage":
        """The same without the rows `ids` [n, 2], here and in all parents."""
        kept, labelled = places_of(self.rows, ids) < 0, places_of(self.labels, ids) < 0
        parents = tuple(parent.without(ids) for parent in self.parents)
        same = all(ours is theirs for ours, theirs in zip(parents, self.parents, strict=True))
        if kept.all() and labelled.all() and same:
            return self  # models that are made of others tell their lineages apart as objects
        return replace(self, rows=self.rows[kept], labels=self.labels[labelled], parents=parents)

    def to_json(self) -> dict[str, Any]:
        """Return all but the row ids, which are stored as tensors in the order of `stages`."""
        return {
            "method": dict(self.method),
            "title": self.title,
            "seed": self.seed,
            "budget": self.budget,
            "data": self.data,
            "fingerprint": self.fingerprint,
            "rows": len(self.rows),
            "steps": self.steps,
            "seconds": self.seconds,
            "versions": dict(self.versions),
            "facts": dict(self.facts),
            "plan": {part: list(steps) for part, steps in self.plan.items()},
            "machine": dict(self.machine),
            "parents": [parent.to_json() for parent in self.parents],
        }

    @staticmethod
    def from_json(
        saved: Mapping[str, Any], rows: list[NDArray[np.uint64]], labels: list[NDArray[np.uint64]] | None = None
    ) -> "Lineage":
        """The lineage that `to_json` wrote; takes its row ids from the front of `rows`, in the order of `stages`.

        Likewise those of `labels`, where there are any.
        """
        description = described(saved, "the lineage", ModelError)
        if not rows:
            raise ModelError(f"The lineage tells of more stages than there are sets of rows; {DAMAGED}.")
        own, labelled = rows.pop(0), labels.pop(0) if labels else no_rows()
        fields: dict[str, Any] = {
            name: description.get(name, kind) for name, kind in _FIELDS.items() if name in _NEEDED or name in saved
        }
        for name in ("plan", "versions", "machine"):
            for part in description.get(name, dict, {}):
                if name == "plan":
                    description.object(name).all(part, int)
                else:
                    description.object(name).get(part, str)
        parents = tuple(Lineage.from_json(parent.members, rows, labels) for parent in description.objects("parents"))
        return Lineage(**fields, rows=own, parents=parents, labels=labelled)


_FIELDS: dict[str, type] = {
    "method": dict, "title": str, "seed": int, "budget": str, "data": str, "fingerprint": str, "steps": int,
    "seconds": float, "versions": dict, "facts": dict, "plan": dict, "machine": dict,
}  # fmt: skip
"""Members of a saved lineage besides rows and parents."""
_NEEDED = ("method", "title", "seed", "budget", "data", "fingerprint")


NO_LINEAGE = Lineage({}, "a model", 0, "", "", "")
"""Lineage of a model that no method made: features on their way to a head, or one still in training."""


IN_USE = ("transformers", "tokenizers", "peft", "numba", "gymnasium")
"""Packages whose version counts where they have been loaded."""


def versions() -> dict[str, str]:
    """The versions that decide what training gives."""
    import platform
    import sys

    names = ["manyways", "torch", "numpy", "scikit-learn", *(name for name in IN_USE if name in sys.modules)]
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def machine(device: str) -> dict[str, str]:
    """Machine of a training, which besides versions decides its last bits: the device, threads and processor."""
    import torch

    return {"device": device, "threads": str(torch.get_num_threads()), "processor": processor(device)}


@cache
def processor(device: str) -> str:
    """The GPU by its name, or the vector instructions of the CPU, which decide in which order sums are taken."""
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else torch.backends.cpu.get_cpu_capability()


@cache  # a package's description is read and parsed, which takes longer than many a piece of a stream
def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)
