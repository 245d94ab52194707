"""Maximum spanning trees against all trees, one by one."""

import itertools

import numpy as np
import pytest

from manyways.data.sentences import fault_of
from manyways.data.targets._arborescence import best_tree


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_the_best_tree_is_the_best_of_all(count: int) -> None:
    rng = np.random.default_rng(count)
    trees = [heads for heads in itertools.product(range(count + 1), repeat=count) if fault_of(heads) is None]
    greedy_is_none = 0
    for _ in range(60 if count < 5 else 25):
        scores = rng.normal(size=(count, count + 1)) * rng.choice([0.1, 1, 100])
        best = max(trees, key=lambda heads: sum(scores[word, head] for word, head in enumerate(heads)))
        assert tuple(best_tree(scores)) == best
        greedy_is_none += fault_of([int(head) for head in scores.argmax(1)]) is not None
    assert count == 1 or greedy_is_none > 5


def test_of_a_long_sentence_it_is_a_tree_whatever_the_scores() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        heads = best_tree(np.log(rng.dirichlet(np.full(81, 0.05), size=80) + 1e-300))
        assert fault_of(heads.tolist()) is None


def test_a_sentence_that_wants_several_roots_gets_one() -> None:
    scores = np.full((3, 4), -5.0)
    scores[:, 0] = (1.0, 3.0, 2.0)
    heads = best_tree(scores)
    assert fault_of(heads.tolist()) is None
    assert heads[1] == 0
