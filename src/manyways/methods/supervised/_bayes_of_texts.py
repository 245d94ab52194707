"""Naive Bayes of texts, and of the numbers and categories beside them, as sums over the rows of each class."""

from collections.abc import Sequence

import numpy as np

from manyways.methods.bases.estimator import Fitting
from manyways.models.estimators.base import Array, put
from manyways.models.estimators.bayes import BayesHead


def bayes_head(
    fitting: Fitting, categories: Sequence[int], smoothing: float, variance_smoothing: float, *, balanced: bool
) -> BayesHead:
    """The head of scikit-learn's MultinomialNB of the terms, GaussianNB of numbers, CategoricalNB of categories.

    Args:
        fitting: A design matrix with numbers first, then categories one-hot, then terms; and class codes.
        categories: The number of categories of each column.
        smoothing: Rows that every term and category is credited with.
        variance_smoothing: Share of the largest variance that is added to all.
        balanced: True for classes that are equally probable.
    """
    from scipy.sparse import csr_matrix

    rows, numbers = csr_matrix(fitting.features), int(fitting.reader.config["numbers"])
    seen, places = np.unique(fitting.labels, return_inverse=True)
    counts = np.bincount(places).astype(np.float64)
    of_class = csr_matrix((np.ones(len(places)), (places, np.arange(len(places)))), shape=(len(seen), len(places)))
    head = BayesHead(fitting.outputs, len(seen), numbers, rows.shape[1] - numbers)
    dense = rows[:, :numbers].toarray()
    mean, variance = np.zeros((len(seen), numbers)), np.ones((len(seen), numbers))
    for place in range(len(seen) if numbers else 0):
        mean[place], variance[place] = dense[places == place].mean(axis=0), dense[places == place].var(axis=0)
    if numbers:
        variance += variance_smoothing * (float(dense.var(axis=0).max()) or 1.0)
    sums = (of_class @ rows[:, numbers:]).toarray()
    blocks = [_log_shares(block, smoothing) for block in np.split(sums, np.cumsum(categories), axis=1)]
    prior = np.full(len(seen), 1 / len(seen)) if balanced else counts / counts.sum()
    put(head, prior=np.log(prior), mean=mean, variance=variance, weights=np.hstack(blocks).T)
    return head


def _log_shares(sums: Array, smoothing: float) -> Array:
    smoothed = sums + smoothing
    return np.asarray(np.log(smoothed) - np.log(smoothed.sum(axis=1, keepdims=True)))
