"""Membership inference: attacks that tell forgotten rows from rows never seen. Evidence, not proof."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import places_of
from manyways.data.data import Data
from manyways.errors import DataError, ModelError
from manyways.lineage.audit.reference_models import train_references
from manyways.lineage.audit.roc import LEVEL, Estimate, auc, roc, true_positive_rate
from manyways.methods.method import Method
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model

FALSE_ALARMS = 0.01
POINTS = 200
"""Points of a ROC that are kept, evenly spread over the logarithm of the false positive rate."""
OFFLINE = 0.3
"""Weight that moves the probability by models without a row towards that by models with it (a of RMIA)."""
STATEMENT = (
    "Evidence, not proof: attacks that find nothing do not show that nothing is left, and one that finds something may "
    "have found what other rows have in common with the forgotten ones."
)


@dataclass(frozen=True)
class Attack:
    """One way to guess which rows a model was trained on, and how well it tells the forgotten ones from unseen ones.

    Attributes:
        name: loss, a threshold on the loss alone; lira, the likelihood ratio against reference models (Carlini et al.
            2022, offline, one variance for all rows); rmia, the ratio of probabilities against them (Zarifzadeh et al.
            2024, offline).
        auc: 0.5 is chance.
        hits: The share of forgotten rows found while 1% of the unseen ones are accused.
        roc: (false positive rate, true positive rate), for a chart with two logarithmic axes.
    """

    name: str
    auc: Estimate
    hits: Estimate
    roc: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class AuditResult:
    """Result of membership-inference attacks on one model.

    Attributes:
        title: Title of the model.
        forgotten: Number of forgotten rows that were compared.
        unseen: Number of unseen rows that they were compared with.
        listed: Number of forgotten rows that still stand in the model's lineage.
        references: Number of reference models.
        attacks: Results of the attacks.
        seed: Seed of the references.
        false_alarms: False positive rate of `Attack.hits`.
        confidence: Confidence of all intervals.
        statement: Limits of what an audit shows.
    """

    title: str
    forgotten: int
    unseen: int
    listed: int
    references: int
    attacks: tuple[Attack, ...]
    seed: int
    false_alarms: float = FALSE_ALARMS
    confidence: float = LEVEL
    statement: str = STATEMENT

    def attack(self, name: str) -> Attack:
        """The attack called `name`."""
        return {attack.name: attack for attack in self.attacks}[name]

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {**asdict(self), "attacks": [asdict(attack) for attack in self.attacks]}

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> "AuditResult":
        """The result that `to_json` wrote."""
        attacks = tuple(
            Attack(
                each["name"], Estimate(**each["auc"]), Estimate(**each["hits"]),
                tuple((float(false), float(true)) for false, true in each["roc"]),
            )
            for each in saved["attacks"]
        )  # fmt: skip
        return AuditResult(**{**saved, "attacks": attacks})


def audit(
    model: Model,
    forgotten: Data,
    unseen: Data,
    reference: Data | None = None,
    *,
    references: int | Sequence[Model] = 16,
    method: Method | None = None,
    start: Model | None = None,
    seed: int = 0,
) -> AuditResult:
    """Attack `model`: tell from its outputs which rows were `forgotten`, and which are `unseen`.

    Args:
        model: The model that is attacked.
        forgotten: Rows with labels (or texts, or answers, for a language model).
        unseen: Rows of the same distribution that did not shape the model; the more of both, the narrower the
            intervals, and 100 unseen ones are the least of which 1% is a row.
        reference: More such rows, none of them among the others.
        references: Number of reference models, which are trained on random halves of `reference` (see
            `train_references`), or those models: train them once, and audit the model before, after, and one that was
            trained without the rows. 0, or no reference rows, leaves the loss alone.
        method: Method that trains references.
        start: Model that references start from.
        seed: Seed of the references.

    Raises:
        DataError: Where rows overlap that must not, or unseen rows shaped the model.
        ModelError: For a model that gives rows no probability.
    """
    _check(model, forgotten, unseen, reference)
    known = [forgotten, unseen]
    if isinstance(references, int):
        others = (
            train_references(model, reference, references, seed=seed, method=method, start=start)
            if references and reference is not None
            else []
        )
    else:
        others = list(references)
    members, rest = (row_scores(model, rows) for rows in known)
    scores = {"loss": (members.likelihood, rest.likelihood)}
    if others:
        outside = [_outside(others, rows) for rows in known]
        scores["lira"] = _lira([members, rest], outside)
        scores["rmia"] = (_rmia(members, outside[0]), _rmia(rest, outside[1]))
    return AuditResult(
        title=model.lineage.title,
        forgotten=len(forgotten),
        unseen=len(unseen),
        listed=_shared(forgotten.ids, model.lineage.all_rows()),
        references=len(others),
        attacks=tuple(_attack(name, *pair) for name, pair in scores.items()),
        seed=seed,
    )


@dataclass(frozen=True, eq=False)
class RowScores:
    """Scores of rows by a model: log p of the label, or of a text per token (`likelihood`), and its confidence.

    Attributes:
        confidence: Log-odds, log p − log(1 − p), for classes, which is near normal over models; the likelihood itself
            elsewhere.
    """

    likelihood: NDArray[np.float64]
    confidence: NDArray[np.float64]


def row_scores(model: Model, rows: Data) -> RowScores:
    """Return the scores of `rows` by `model`. Raises ModelError for one that gives rows no probability."""
    if isinstance(model, LanguageModel):
        tokens = model.log_probabilities(rows).astype(np.float64)
        return RowScores(tokens, tokens)
    if model.target is None:
        raise ModelError(
            f"{model.lineage.title} gives {', '.join(sorted(model.gives))}: it says nothing of labels or texts that an "
            "audit could compare."
        )
    outputs, truth = model.outputs(rows).astype(np.float64), model.target.encode(rows, hidden=True)
    if not model.target.classification:
        error = -0.5 * (outputs[:, 0] - truth) ** 2
        return RowScores(error, error)
    shifted = outputs - outputs.max(1, keepdims=True)
    right = np.arange(len(truth)), truth
    everything = np.log(np.exp(shifted).sum(1))
    others = np.exp(shifted)
    others[right] = 0
    rest = np.log(np.maximum(others.sum(1), 1e-300))
    return RowScores(shifted[right] - everything, shifted[right] - rest)


def _outside(others: Sequence[Model], rows: Data) -> list[RowScores]:
    """Scores of `rows` by reference models, none of which may have been trained on any of them."""
    for model in others:
        if _shared(rows.ids, model.lineage.all_rows()):
            raise DataError(
                f"Reference models must not have seen the rows they are asked of; {model.lineage.title} has."
            )
    return [row_scores(model, rows) for model in others]


def _lira(
    known: Sequence[RowScores], outside: Sequence[Sequence[RowScores]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """LiRA: the standard deviations by which the model is surer of a row than models that never saw it."""
    means = [np.mean([each.confidence for each in others], axis=0) for others in outside]
    apart = [[each.confidence - mean for each in others] for others, mean in zip(outside, means, strict=True)]
    spread = float(np.std(np.concatenate([np.ravel(each) for each in apart]))) or 1.0
    first, second = ((one.confidence - mean) / spread for one, mean in zip(known, means, strict=True))
    return first, second


def _rmia(one: RowScores, outside: Sequence[RowScores]) -> NDArray[np.float64]:
    """Log ratio log p(x | model) − log p(x), where p(x) is the average over models with and without the row.

    The share of reference rows whose ratio a row's own exceeds, which is the published score, orders rows as the ratio
    does.
    """
    average = np.mean([np.exp(each.likelihood) for each in outside], axis=0)
    return np.asarray(one.likelihood - np.log(((1 + OFFLINE) * average + (1 - OFFLINE)) / 2))


def _attack(name: str, members: NDArray[np.float64], others: NDArray[np.float64]) -> Attack:
    false, true = roc(members, others)
    wanted = np.geomspace(1 / max(2, len(others)), 1, POINTS)
    kept = np.unique(np.searchsorted(false, wanted, "right") - 1)
    kept = np.unique(np.concatenate([[0], kept, [len(false) - 1]]))
    points = tuple((float(false[at]), float(true[at])) for at in kept)
    return Attack(name, auc(members, others), true_positive_rate(members, others, FALSE_ALARMS), points)


def _check(model: Model, forgotten: Data, unseen: Data, reference: Data | None) -> None:
    for name, rows in (("forgotten", forgotten), ("unseen", unseen)):
        if len(rows) < 2:
            raise DataError(f"An audit compares {name} rows with others: two are the least; got {len(rows)}.")
    pairs = [("forgotten", forgotten, "unseen", unseen)]
    if reference is not None:
        pairs += [("forgotten", forgotten, "reference", reference), ("unseen", unseen, "reference", reference)]
    for first, ours, second, theirs in pairs:
        if both := _shared(ours.ids, theirs.ids):
            raise DataError(f"{both} of the {first} rows are among the {second} rows, too. Leave them out of one.")
    if seen := _shared(unseen.ids, model.lineage.all_rows()):
        raise DataError(
            f"{seen} of the {len(unseen)} unseen rows shaped {model.lineage.title}. Give rows that did not."
        )


def _shared(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> int:
    """Number of the ids `first` that are among the `second`."""
    return int((places_of(first, second) >= 0).sum())
