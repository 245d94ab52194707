"""Every way of learning as a scikit-learn estimator: `Classifier` and `Regressor`."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.inference.arrays import as_images
from manyways.data.notation import is_missing
from manyways.errors import DataError, NeedsError, ParameterError
from manyways.methods.chain import Chain
from manyways.methods.expressions import parse_method
from manyways.methods.method import Method
from manyways.methods.needs import Unlabelled
from manyways.methods.starts import learns_from_labels, needs_any, needs_data
from manyways.methods.supervised.supervised import Supervised
from manyways.models.model import Model
from manyways.training.budget import Budget

__all__ = ["Classifier", "Regressor"]

UNLABELLED = -1
"""The label of a row without one, scikit-learn's convention for semi-supervised learning."""


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """Base of `Classifier` and `Regressor`: parameters, checks of the inputs, and `fit`."""

    model_: Model
    n_features_in_: int
    _gives: ClassVar[str]

    def __init__(
        self,
        method: Method | str | None = None,
        *,
        budget: Budget | str | int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.method = method
        self.budget = budget
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.categorical = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from the rows of X [rows, features] and their labels y [rows].

        Args:
            X: The rows.
            y: Their labels.
            sample_weight: How much each row counts [rows], 0 or more; None: all the same.

        Raises:
            ParameterError: The method does not fit the estimator.
            ValueError: X, y or sample_weight cannot be used; or the method does not weigh rows.
        """
        method = self._method()
        if y is None:
            raise DataError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        inputs = self._inputs(X, reset=True)
        values = column_or_1d(y, warn=True)
        numeric = "numeric" if self._gives == "regress" else None
        values = check_array(values, ensure_2d=False, dtype=numeric, input_name="y")
        check_consistent_length(X, values)
        roles = {"input": [column.name for column in inputs], "label": ["y"]}
        columns = [*inputs, self._target(values, method)]
        if sample_weight is not None:
            columns.append(Column("weight", "number", _weights(sample_weight, len(values))))
            roles["weight"] = ["weight"]
        data = Data.from_columns(columns, roles, name="X")
        self.model_ = method.fit(data, budget=self.budget, seed=self._seed())
        return self

    def _target(self, y: NDArray[Any], method: Method) -> Column:
        """The label column for a validated `y`."""
        raise NotImplementedError

    def _method(self) -> Method:
        method = Supervised() if self.method is None else self.method
        method = parse_method(method) if isinstance(method, str) else method
        name = f"{type(self).__name__}.method"
        if not isinstance(method, Method):
            raise ParameterError(
                f"{name} must be a method, its text such as 'fixmatch(threshold=0.9)', or None for "
                f"supervised; got {method!r}."
            )
        if not needs_data(method):
            raise ParameterError(f"{name} must be a method that learns from data; got {method}, which needs none.")
        if self._gives not in _stages(method)[-1].gives:
            raise ParameterError(
                f"{name} must be a method that learns to {self._gives}, such as supervised or linear_probe; "
                f"got {method}, which gives {', '.join(sorted(_stages(method)[-1].gives))}."
            )
        return method

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _data(self, X: Any) -> Data:
        """The rows of X for the fitted model."""
        check_is_fitted(self)
        inputs = self._inputs(X, reset=False)
        return Data.from_columns(inputs, {"input": [column.name for column in inputs]}, name="X")

    def _inputs(self, X: Any, *, reset: bool) -> list[Column]:
        """X as columns. `reset` remembers its names, shape and categories; else they must agree."""
        if reset:
            self._categories = _category_columns(X)
        if self._categories:
            validate_data(self, X, reset=reset, skip_check_array=True)
            return _mixed(X, self._categories, self.n_features_in_)
        values = validate_data(self, X, reset=reset, dtype="numeric", allow_nd=True)
        if reset:
            self._row_shape = values.shape[1:]
        elif values.shape[1:] != self._row_shape:
            raise DataError(
                f"The rows of X must have the shape {self._row_shape}, on which {type(self).__name__} was "
                f"fitted; got {values.shape[1:]}."
            )
        if values.ndim == 2:
            return [Column("x", "number", values)]
        return [Column("x", "image", as_images(_pixels(values), "X", type(self).__name__, key=""))]


class Classifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A scikit-learn classifier that learns in any of Manyways' ways.

    X: numbers [rows, features]; a pandas or polars frame, whose columns of strings or of a categorical type
    are categories; or images [rows, height, width], [rows, channels, height, width] or [rows, height, width,
    channels] with 1 or 3 channels: whole numbers in [0, 255] or floats in [0, 1].

    y: one label per row. **-1 marks a row without a label** where the method, or a stage of the chain, learns
    from such rows: it needs "unlabelled" rows, or no labels at all. For all other methods -1 is a class like
    any other. Beside strings, -1 needs an array of objects.

    Args:
        method: A `Method`, its text such as `"fixmatch(threshold=0.9)"` or `"simclr >> fine_tune"`, or None for
            supervised learning.
        budget: Budget as for `Method.fit`: `"20s"`, `"500 steps"`, …; 1,000 steps by default.
        random_state: Seed, a whole number; a RandomState or None (NumPy's global one) draws it.

    Attributes:
        classes_: Classes, sorted.
        model_: The fitted `Model` with its lineage, to be saved or inspected.
        n_features_in_: Number of features.
        feature_names_in_: Names of the features, of frames.
    """

    classes_: NDArray[Any]
    _gives = "classify"

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row, [rows]."""
        codes = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[codes])

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """The probability of each class, float32 [rows, classes] in the order of `classes_`."""
        data = self._data(X)
        return np.asarray(self.model_.probabilities(data))

    def _target(self, y: NDArray[Any], method: Method) -> Column:
        hidden = np.zeros(len(y), bool)
        if _learns_without_labels(method):
            hidden = np.asarray(y.astype(object) == UNLABELLED, bool)
            if needs_any(method, Unlabelled) and not hidden.any():
                raise NeedsError(f"{method} needs rows without a label, and y has none. Mark them with {UNLABELLED}.")
        check_classification_targets(y[~hidden])
        classes, codes = np.unique(y[~hidden], return_inverse=True)
        if len(classes) < 2:
            given = f"one class, {classes[0]!r}" if len(classes) else "no label"
            unlabelled = f"; {hidden.sum()} rows with {UNLABELLED} have no label" if hidden.any() else ""
            raise DataError(f"y must hold two classes or more; got {given}{unlabelled}.")
        # Plain Python values, because the model writes its classes as JSON.
        values = [value.item() if isinstance(value, np.generic) else value for value in classes]
        plain = np.array(values, object)
        if is_missing(plain).any():
            raise DataError("y holds the empty string, which means no label; name that class, as in 'none'.")
        labels = np.full(len(y), None, object)
        labels[~hidden] = plain[codes]
        self.classes_ = classes
        return Column("y", "category", labels)


class Regressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A scikit-learn regressor that learns in any of Manyways' ways that give numbers.

    X as for `Classifier`; y: one finite number per row.

    Args:
        method: A `Method`, its text, or None for supervised learning.
        budget: Budget as for `Method.fit`; 1,000 steps by default.
        random_state: Seed, a whole number; a RandomState or None (NumPy's global one) draws it.

    Attributes:
        model_: The fitted `Model` with its lineage, to be saved or inspected.
        n_features_in_: Number of features.
        feature_names_in_: Names of the features, of frames.
    """

    _gives = "regress"

    def predict(self, X: Any) -> NDArray[np.float32]:
        """The number of each row, float32 [rows]: the precision that the network computes in."""
        data = self._data(X)
        return np.asarray(self.model_.predict(data), np.float32)

    def _target(self, y: NDArray[Any], method: Method) -> Column:
        return Column("y", "number", y.astype(np.float64))


def _weights(given: Any, count: int) -> NDArray[np.float64]:
    """The sample weights `given`, one for each of `count` rows.

    Raises:
        ValueError: They are no weights.
    """
    weights = check_array(given, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (count,):
        raise DataError(f"sample_weight.shape == {weights.shape}, expected {(count,)}: one weight for each row of X.")
    if not weights.any():
        raise DataError("sample_weight is zero in all rows, so that none counts: give some a weight above 0.")
    return np.asarray(weights)


def _stages(method: Method) -> Sequence[Method]:
    return method.stages if isinstance(method, Chain) else (method,)


def _learns_without_labels(method: Method) -> bool:
    """True if a stage of `method` needs rows without labels, or no labels at all."""
    return any(
        needs_any(stage, Unlabelled) or not learns_from_labels(stage) for stage in _stages(method) if stage.needs
    )


def _category_columns(X: Any) -> tuple[int, ...]:
    """The positions of the columns of a data frame that hold categories: a categorical type, or strings."""
    if not (hasattr(X, "columns") and hasattr(X, "dtypes")):
        return ()
    return tuple(at for at, name in enumerate(X.columns) if _is_category(X[name]))


def _is_category(series: Any) -> bool:
    if str(series.dtype).lower().startswith(("categor", "enum")):
        return True
    values = np.asarray(series)
    return values.dtype.kind in "OU" and any(isinstance(value, str) for value in values.tolist())


def _mixed(X: Any, categories: tuple[int, ...], width: int) -> list[Column]:
    """Columns of a frame or an array of objects: one of all its numbers, and one for each category."""
    framed = hasattr(X, "columns")
    table = X if framed else np.asarray(X, object)
    names = list(X.columns) if framed else list(range(width))
    columns: list[Column] = []
    if numbers := [name for at, name in enumerate(names) if at not in categories]:
        values = check_array(table[numbers] if framed else table[:, numbers], input_name="X")
        columns.append(Column("x", "number", values))
    for at in categories:
        name = names[at]
        cells = np.asarray(table[name] if framed else table[:, at]).astype(object)
        missing = is_missing(cells)
        if missing.any():
            raise DataError(
                f"X has no value in {missing.sum()} rows of {name!r}, the first at {missing.argmax()}. "
                f"Leave them out, or make it a category: X[{name!r}].fillna('none')."
            )
        columns.append(Column(f"x{at}", "category", cells))
    return columns


def _pixels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Images as uint8. The type alone sets the scale, so that no image depends on the others in its batch."""
    if values.ndim > 4:
        raise DataError(f"X must have two axes, or three or four for images; got the shape {values.shape}.")
    if values.dtype == np.uint8:
        return values
    highest = 1 if values.dtype.kind in "fb" else 255
    if values.min() < 0 or values.max() > highest:
        raise DataError(
            f"Images of type {values.dtype} must be in [0, {highest}]; got {values.min():g} to "
            f"{values.max():g}. Scale them: X / X.max()."
        )
    return np.round(values * (255.0 / highest)).astype(np.uint8)
