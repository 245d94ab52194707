"""The audit of a forgetting: one model as it was, as it is, and as it would be, attacked with the same references."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.lineage.audit.membership_inference import AuditResult, audit
from manyways.lineage.audit.reference_models import train_references
from manyways.methods.saved import Functions
from manyways.models.model import Model

REFERENCES = 8


@dataclass(frozen=True)
class Auditor:
    """Audit of `forget(…, audit=Auditor())`: attacks that try to tell the forget set from the test rows.

    It is evidence, never proof.

    Args:
        references: Number of reference models trained for each model that was given the rows, on random halves of the
            retain set, as long as that model was; their cost is that of so many trainings. 0 trains none and leaves the
            threshold on the loss.
        seed: Seed of the halves and the trainings.
        functions: Functions that the methods of models name, by these names.

    Raises:
        ParameterError: `references` is below 0.
    """

    references: int = REFERENCES
    seed: int = 0
    functions: Functions = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.references < 0:
            raise ParameterError(f"An audit trains 0 reference models or more; got {self.references}.")

    def __call__(
        self, models: Mapping[str, Model], forgotten: Data, unseen: Data, reference: Data, start: Model | None = None
    ) -> dict[str, AuditResult]:
        """The result for each of `models`, which are one at several times; references are trained like the first.

        Args:
            models: The model at several times, by when.
            forgotten: Rows of the forget set.
            unseen: Rows that no model was given.
            reference: Rows that the reference models are trained on.
            start: Model that the references start from; it must not have seen the rows.

        Raises:
            DataError: There are too few rows, as for `audit`.
            ModelError: A model cannot be attacked, as for `audit`.
        """
        first = next(iter(models.values()))
        count = self.references
        others = (
            train_references(first, reference, count, seed=self.seed, start=start, functions=self.functions)
            if count
            else []
        )
        return {
            when: audit(model, forgotten, unseen, reference, references=others, seed=self.seed)
            for when, model in models.items()
        }
