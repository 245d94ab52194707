"""A Hoeffding tree as the formulas are written, in plain Python: what the compiled one is held against."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import erf, inf, log, log2, pi, sqrt
from statistics import fmean

Row = Sequence[float]
Branches = dict[object, dict[int, float]]


@dataclass
class Node:
    """A leaf with all the rows that it learned, or a test with its branches."""

    weights: dict[int, float] = field(default_factory=dict)
    rows: list[tuple[Row, int]] = field(default_factory=list)
    tried: float = 0.0
    right: list[int] = field(default_factory=lambda: [0, 0])
    attribute: int = -1
    threshold: float | None = None
    category: float | None = None
    branches: dict[object, "Node"] = field(default_factory=dict)

    def child(self, row: Row) -> "Node":
        value = row[self.attribute]
        if self.threshold is not None:
            return self.branches[value <= self.threshold]
        return self.branches[value if self.category is None else value == self.category]


class PlainTree:
    """Learns by all rows of a leaf at once, what the compiled one learns by running sums."""

    def __init__(self, categories: Sequence[int] = (), *, grace: int, delta: float, tau: float) -> None:
        self.root, self.categories = Node(), set(categories)
        self.grace, self.delta, self.tau = grace, delta, tau

    def leaf(self, row: Row) -> Node:
        node = self.root
        while node.branches:
            node = node.child(row)
        return node

    def predict(self, row: Row) -> int | None:
        leaf = self.leaf(row)
        majority, bayes = self._majority(leaf), self._bayes(leaf, row)
        return bayes if leaf.right[1] >= leaf.right[0] else majority

    def learn(self, row: Row, label: int) -> None:
        leaf = self.leaf(row)
        majority, bayes = self._majority(leaf), self._bayes(leaf, row)
        leaf.right[0] += majority is None or majority == label
        leaf.right[1] += bayes == label
        leaf.weights[label] = leaf.weights.get(label, 0.0) + 1
        leaf.rows.append((row, label))
        if sum(leaf.weights.values()) - leaf.tried >= self.grace:
            leaf.tried = sum(leaf.weights.values())
            self._try(leaf)

    def _majority(self, leaf: Node) -> int | None:
        return max(sorted(leaf.weights), key=lambda c: leaf.weights[c]) if leaf.weights else None

    def _values(self, leaf: Node, label: int, attribute: int) -> list[float]:
        return [row[attribute] for row, other in leaf.rows if other == label]

    def _bayes(self, leaf: Node, row: Row) -> int | None:
        scores = {}
        for label in sorted(leaf.weights):
            score = log(leaf.weights[label]) if leaf.weights[label] > 0 else -inf
            for attribute, value in enumerate(row):
                values = self._values(leaf, label, attribute)
                if attribute in self.categories:
                    kinds = len({other[attribute] for other, _ in leaf.rows})
                    score += log((values.count(value) + 1) / (len(values) + kinds + 1))
                elif (spread := deviation(values)) > 0:
                    score += -((value - fmean(values)) ** 2) / (2 * spread**2) - log(spread * sqrt(2 * pi))
            scores[label] = score
        return max(scores, key=lambda c: scores[c]) if scores else None

    def _try(self, leaf: Node) -> None:
        total = sum(leaf.weights.values())
        seen = [weight for weight in leaf.weights.values() if weight > 0]
        if len(seen) < 2 or max(seen) > 0.99 * total:
            return
        tests = [self._best(leaf, attribute) for attribute in range(len(leaf.rows[0][0]))]
        *others, (gain, attribute, test, branches) = sorted(tests, key=lambda each: each[0])
        second = others[-1][0] if others and others[-1][0] > -inf else 0.0
        bound = sqrt(log2(max(2, len(seen))) ** 2 * log(1 / self.delta) / (2 * total))
        if gain <= 0 or not (gain - second > bound or bound < self.tau):
            return
        leaf.attribute = attribute
        if attribute in self.categories:
            leaf.category = test
        else:
            leaf.threshold = test
        for which, weights in branches.items():
            leaf.branches[which] = Node(weights, tried=sum(weights.values()))

    def _best(self, leaf: Node, attribute: int) -> tuple[float, int, float | None, Branches]:
        """The best test of an attribute: its gain, itself, the threshold or category, and its branches."""
        by_class = {label: self._values(leaf, label, attribute) for label in leaf.weights}
        by_class = {label: values for label, values in by_class.items() if values}
        every = [row[attribute] for row, _ in leaf.rows]
        tests: list[tuple[float | None, Branches]] = []
        if attribute in self.categories:
            tests.append((None, {kind: {c: values.count(kind) for c, values in by_class.items()} for kind in every}))
            for kind in sorted(set(every)):
                same = {c: float(values.count(kind)) for c, values in by_class.items()}
                tests.append((kind, {True: same, False: {c: len(by_class[c]) - n for c, n in same.items()}}))
        else:
            step = (max(every) - min(every)) / 11
            for cut in [min(every) + step * at for at in range(1, 11)]:
                if min(every) < cut < max(every):
                    left = {c: share_below(cut, values) * len(values) for c, values in by_class.items()}
                    tests.append((cut, {True: left, False: {c: len(by_class[c]) - n for c, n in left.items()}}))
        best: tuple[float, int, float | None, Branches] = (-inf, attribute, None, {})
        for test, branches in tests:
            sizes = [sum(weights.values()) for weights in branches.values()]
            if sum(size > 0.01 * sum(sizes) for size in sizes) < 2:
                continue
            after = sum(size * entropy(weights) for size, weights in zip(sizes, branches.values(), strict=True)) / sum(
                sizes
            )
            if entropy(leaf.weights) - after > best[0]:
                best = (entropy(leaf.weights) - after, attribute, test, branches)
        return best


def entropy(weights: dict[int, float]) -> float:
    total = sum(weights.values())
    return -sum(weight / total * log2(weight / total) for weight in weights.values() if weight > 0)


def deviation(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = fmean(values)
    return sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def share_below(cut: float, values: Sequence[float]) -> float:
    if cut < min(values):
        return 0.0
    if cut >= max(values):
        return 1.0
    spread = deviation(values)
    return 0.5 * (1 + erf((cut - fmean(values)) / (spread * sqrt(2)))) if spread > 0 else float(cut >= fmean(values))
