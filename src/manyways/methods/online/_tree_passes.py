"""The passes of Hoeffding trees over a stream, compiled: each row is first predicted and then learned."""

from math import exp
from typing import NamedTuple

import numpy as np

from manyways.methods.online._compiling import Array, compiled, kept
from manyways.methods.online._detectors import adwin, clear_detector
from manyways.methods.online._leaves import (
    bayes_scores,
    free_tree,
    has_room,
    heaviest,
    leaf_of,
    learn_row,
    new_leaf,
    prefers_bayes,
)
from manyways.methods.online._random import poisson
from manyways.methods.online._row import tally
from manyways.methods.online._splits import NO_ROOM, try_split
from manyways.models.streams.trees import TreesState

Learned = tuple[int, int, int]
"""The numbers of rows a pass learned, drifts it found and windows it filled; fewer rows where a pool must grow."""
TREE, BACKGROUND = 0, 1
NOTHING, WARNING, DRIFT = 0, 1, 2


class TreeSettings(NamedTuple):
    """Settings of a pass: the fields of the method as numbers.

    Attributes:
        cumulated: The probabilities of 0, of 0 or 1, … draws of a row, as `poisson` takes them; of length 0 where each
            row is learned once.
        warning_delta: That of the warning detectors; 0: no background trees.
        drift_delta: That of the drift detectors, or of the one detector of a single tree; 0: there are none.
    """

    grace_period: float
    delta: float
    tau: float
    prediction: int
    most_leaves: int
    cumulated: Array
    warning_delta: float
    drift_delta: float
    cardinalities: Array
    offsets: Array
    window: int


@compiled
def split_due(settings: TreeSettings, state: TreesState) -> bool:
    """Split the leaves that are due; True if there was room for it, and is for a new tree in each place."""
    for tree in range(len(state.roots)):
        for which in range(2):
            place = state.due[tree, which]
            if place < 0:
                continue
            result = try_split(
                place,
                settings.delta,
                settings.tau,
                settings.most_leaves,
                settings.cardinalities,
                settings.offsets,
                state,
            )
            if result == NO_ROOM:
                return False
            state.due[tree, which] = -1
    return has_room(2 * len(state.roots), state)


@compiled
def plant_trees(settings: TreeSettings, state: TreesState) -> None:
    """Begin each tree with a leaf."""
    for tree in range(len(state.roots)):
        state.roots[tree, TREE] = new_leaf(len(settings.cardinalities), state)


@compiled
def learn_in_leaf(
    row: Array, label: int, weight: float, majority: int, bayes: int, slot: int, settings: TreeSettings,
    leaves: Array, class_weights: Array, subsets: Array, estimates: Array, categories: Array, varieties: Array,
) -> bool:  # fmt: skip
    """Learn `row` in the leaf that has `slot`, for which the two predictions were `majority` and `bayes`.

    Gives whether it is time to try a split.
    """
    leaf, weights = leaves[slot], class_weights[slot]
    if majority < 0 or majority == label:  # an empty leaf takes the majority class for the better prediction
        leaf.majority_right += weight
    if bayes == label:
        leaf.bayes_right += weight
    weights[label] += weight
    learn_row(
        row, label, weight, subsets[slot], estimates[slot], categories[slot], varieties[slot], settings.cardinalities,
        settings.offsets,
    )  # fmt: skip
    total = 0.0
    for k in range(len(weights)):
        total += weights[k]
    if total - leaf.tried < settings.grace_period:
        return False
    leaf.tried = total
    return True


@kept
def hoeffding_tree_pass(
    rows: Array, labels: Array, weights: Array, state: TreesState, settings: TreeSettings, drifts: Array, curve: Array
) -> Learned:
    """One Hoeffding tree; where a drift is found, a new one begins.

    rows: float [rows, attributes]; labels: class codes [rows]; weights: sample weights [rows]. drifts [rows] and curve
    [rows, 2] are filled from the front. The first row is predicted by nothing, and counts as wrong.
    """
    counts, numbers, nodes, thresholds = state.counts, state.numbers, state.nodes, state.thresholds
    leaves, class_weights, subsets = state.leaves, state.class_weights, state.subsets
    estimates, categories, varieties = state.estimates, state.categories, state.varieties
    scores, drift_count, full = np.empty(len(state.seen)), 0, 0
    if not split_due(settings, state):
        return 0, drift_count, full
    for at in range(len(rows)):
        row, label = rows[at], labels[at]
        place = leaf_of(row, state.roots[0, TREE], nodes, thresholds)
        slot = nodes[place].slot
        majority = heaviest(class_weights[slot])
        bayes = bayes_scores(
            row, class_weights[slot], subsets[slot], estimates[slot], categories[slot], varieties[slot],
            settings.cardinalities, settings.offsets, scores,
        )  # fmt: skip
        error = 1.0 if (bayes if prefers_bayes(settings.prediction, leaves[slot]) else majority) != label else 0.0
        full = tally(error, counts, numbers, settings.window, curve, full)
        changed = False
        if settings.drift_delta > 0 and adwin(
            error, settings.drift_delta, numbers, state.levels, state.totals, state.spreads
        ):
            drifts[drift_count] = counts[0].rows - 1
            drift_count += 1
            clear_detector(numbers, state.levels)
            free_tree(state.roots[0, TREE], state)
            place, majority, bayes, changed = new_leaf(len(settings.cardinalities), state), -1, -1, True
            state.roots[0, TREE], slot = place, nodes[place].slot
        state.seen[label] = 1
        if weights[at] > 0 and learn_in_leaf(
            row, label, weights[at], majority, bayes, slot, settings, leaves, class_weights, subsets, estimates,
            categories, varieties,
        ):  # fmt: skip
            state.due[0, TREE], changed = place, True
        if changed and not split_due(settings, state):
            return at + 1, drift_count, full
    return len(rows), drift_count, full


@compiled
def vote(by_bayes: bool, share: float, bayes: int, scores: Array, weights: Array, votes: Array) -> int:
    """Add the probabilities of a leaf, times `share`, to `votes`, and give its prediction; -1 for an empty leaf.

    scores: the logarithms that naive Bayes gave, and `bayes` the likeliest class by them; `weights` those of the
    classes.
    """
    if bayes < 0:
        return -1
    total, highest = 0.0, scores[bayes]
    if by_bayes:
        for k in range(len(scores)):
            scores[k] = exp(scores[k] - highest)
            total += scores[k]
        for k in range(len(scores)):
            votes[k] += share * scores[k] / total
        return bayes
    for k in range(len(weights)):
        total += weights[k]
    for k in range(len(weights)):
        votes[k] += share * weights[k] / total
    return heaviest(weights)


@compiled
def alarmed(error: float, delta: float, which: int, state: TreesState) -> bool:
    """Tell a detector of an error, and give whether it alarms; it begins anew then."""
    watch = state.watch[which : which + 1]
    if adwin(error, delta, watch, state.watch_levels[which], state.watch_totals[which], state.watch_spreads[which]):
        clear_detector(watch, state.watch_levels[which])
        return True
    return False


@compiled
def replace_tree(tree: int, attributes: int, state: TreesState) -> None:
    """Put the background tree, or else a new one, in the place of a tree."""
    roots, due = state.roots, state.due
    free_tree(roots[tree, TREE], state)
    if roots[tree, BACKGROUND] >= 0:
        roots[tree, TREE], due[tree, TREE] = roots[tree, BACKGROUND], due[tree, BACKGROUND]
        roots[tree, BACKGROUND], due[tree, BACKGROUND] = -1, -1
        clear_detector(state.watch[2 * tree : 2 * tree + 1], state.watch_levels[2 * tree])
    else:
        roots[tree, TREE], due[tree, TREE] = new_leaf(attributes, state), -1
    state.members[tree].right, state.members[tree].rows = 0.0, 0.0


@compiled
def watch_tree(tree: int, error: float, settings: TreeSettings, state: TreesState) -> int:
    """Tell the detectors of a tree of an error: a WARNING begins a background tree, a DRIFT puts it in its place."""
    attributes, roots, change = len(settings.cardinalities), state.roots, NOTHING
    if settings.warning_delta > 0 and alarmed(error, settings.warning_delta, 2 * tree, state):
        if roots[tree, BACKGROUND] >= 0:
            free_tree(roots[tree, BACKGROUND], state)
        roots[tree, BACKGROUND], state.due[tree, BACKGROUND] = new_leaf(attributes, state), -1
        state.pool[0].warnings += 1
        change = WARNING
    if settings.drift_delta > 0 and alarmed(error, settings.drift_delta, 2 * tree + 1, state):
        replace_tree(tree, attributes, state)
        change = DRIFT
    return change


@kept
def adaptive_random_forest_pass(
    rows: Array, labels: Array, weights: Array, state: TreesState, settings: TreeSettings, drifts: Array, curve: Array
) -> Learned:
    """Trees that vote, each weighted by how often it was right; arguments and result as `hoeffding_tree_pass`.

    A tree learns a row as often as a Poisson number says, and is told of its errors on those that it learns.
    """
    members, nodes, thresholds, trees = state.members, state.nodes, state.thresholds, len(state.roots)
    leaves, class_weights, subsets = state.leaves, state.class_weights, state.subsets
    estimates, categories, varieties = state.estimates, state.categories, state.varieties
    scores, votes = np.empty(len(state.seen)), np.empty(len(state.seen))
    places, guesses, drift_count, full = np.empty((trees, 3), np.int64), np.empty(trees, np.int64), 0, 0
    if not split_due(settings, state):
        return 0, drift_count, full
    for at in range(len(rows)):
        row, label = rows[at], labels[at]
        votes[:] = 0.0
        for tree in range(trees):
            place = leaf_of(row, state.roots[tree, TREE], nodes, thresholds)
            slot = nodes[place].slot
            bayes = bayes_scores(
                row, class_weights[slot], subsets[slot], estimates[slot], categories[slot], varieties[slot],
                settings.cardinalities, settings.offsets, scores,
            )  # fmt: skip
            places[tree, 0], places[tree, 1], places[tree, 2] = place, heaviest(class_weights[slot]), bayes
            share = members[tree].right / members[tree].rows if members[tree].right > 0 else 1.0
            by_bayes = prefers_bayes(settings.prediction, leaves[slot])
            guesses[tree] = vote(by_bayes, share, bayes, scores, class_weights[slot], votes)
        error = 1.0 if heaviest(votes) != label else 0.0
        full = tally(error, state.counts, state.numbers, settings.window, curve, full)
        state.seen[label] = 1
        changed, drifted = False, False
        for tree in range(trees):
            members[tree].rows += 1.0
            members[tree].right += guesses[tree] == label
            weight = weights[at] * poisson(settings.cumulated, state.random)
            if weight <= 0:
                continue
            for which in range(2):
                place, majority, bayes = places[tree, 0], places[tree, 1], places[tree, 2]
                if which == BACKGROUND:
                    if state.roots[tree, BACKGROUND] < 0:
                        continue
                    place = leaf_of(row, state.roots[tree, BACKGROUND], nodes, thresholds)
                slot = nodes[place].slot
                if which == BACKGROUND:
                    majority = heaviest(class_weights[slot])
                    bayes = bayes_scores(
                        row, class_weights[slot], subsets[slot], estimates[slot], categories[slot], varieties[slot],
                        settings.cardinalities, settings.offsets, scores,
                    )  # fmt: skip
                if learn_in_leaf(
                    row, label, weight, majority, bayes, slot, settings, leaves, class_weights, subsets, estimates,
                    categories, varieties,
                ):  # fmt: skip
                    state.due[tree, which], changed = place, True
            change = watch_tree(tree, 1.0 if guesses[tree] != label else 0.0, settings, state)
            changed |= change != NOTHING
            drifted |= change == DRIFT
        if drifted:
            drifts[drift_count] = state.counts[0].rows - 1
            drift_count += 1
        if changed and not split_due(settings, state):
            return at + 1, drift_count, full
    return len(rows), drift_count, full
