"""Sequential fine-tuning: nothing is done against forgetting."""

from dataclasses import dataclass
from typing import ClassVar

from manyways.methods.bases.tasks_in_order import ContinualLearner, ContinualMethod


@dataclass(frozen=True, kw_only=True)
class SequentialFineTune(ContinualMethod[ContinualLearner]):
    """Learn tasks one after the other and do nothing against forgetting: what other continual methods must beat."""

    paper: ClassVar = "McCloskey & Cohen, Catastrophic interference in connectionist networks (1989)"
