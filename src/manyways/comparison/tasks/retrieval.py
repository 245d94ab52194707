"""The task of finding one of two things by the other."""

import numpy as np

from manyways.comparison.exhibits import Exhibit, Hits, Item
from manyways.comparison.showcase import column_shown
from manyways.comparison.tasks.base import TEST_ROWS, Task
from manyways.data.columns import modalities
from manyways.data.data import Data
from manyways.data.repeats import same_numbers
from manyways.metrics import metric_of
from manyways.models.dual_encoder import DualEncoder
from manyways.models.model import Model

SHOWN, BEST = 8, 5
"""Queries that are shown, and the first of what each finds."""


class Retrieval(Task):
    """Finding one of two things by the other."""

    name, rows = "retrieval", ("pair", "pairs")
    precedence = 70
    gives = scored = frozenset({"retrieve"})
    metrics = ("recall_at_10", "recall_at_1", "recall_at_5", "median_rank")
    by_all = True
    units = TEST_ROWS

    def applies(self, data: Data) -> bool:
        """True if rows are pairs of two things, none of them a table, and nothing is to be predicted."""
        groups = modalities(data.inputs)
        return len(groups) == 2 and "table" not in groups and not data.labels

    def exhibits(self, model: Model, test: Data) -> tuple[Exhibit, ...]:
        """Hits of some test rows, evenly spread, among all of them: both ways."""
        if not isinstance(model, DualEncoder):
            return ()
        test = model.pairs(test)
        scores = model.evaluate(test)
        rows = model.inputs.encode(test)
        same = {name: same_numbers(rows.stores[name], rows.rows) for name in model.names}
        queries = np.linspace(0, len(test) - 1, min(SHOWN, len(test))).astype(int)
        exhibits = []
        for by, name in (model.names, model.names[::-1]):
            once = np.sort(np.unique(same[name], return_index=True)[1])
            items = test.select(once)
            nearest = model.retrieve(test.select(queries), items.with_inputs([name]), BEST, by=by)
            hits = []
            for row, positions in zip(queries, nearest.rows, strict=True):
                right = np.isin(same[name][once], same[name][same[by] == same[by][row]])
                # What is not the partner is not wrong for that: it is left unmarked.
                shown = [Item(*column_shown(items, name, int(at)), right=bool(right[at]) or None) for at in positions]
                hits.append(Hits(Item(*column_shown(test, by, int(row))), tuple(shown)))
            chance = scores[metric_of("recall_at_10_by_chance", f"{name} by {by}")]
            note = (
                f"For some test rows, evenly spread, the {BEST} nearest of {len(items):,}; the right one is marked. By "
                f"chance it would be among the ten nearest for {chance:.1%} of the rows."
            )
            exhibits.append(Exhibit(f"Found by {by}: {name}", note, hits=tuple(hits)))
        return tuple(exhibits)
