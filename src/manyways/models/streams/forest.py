"""ForestHead: trees that vote, each watched for drift."""

from manyways.models.streams.trees import TreesHead


class ForestHead(TreesHead):
    """The trees of an adaptive random forest, and the state of their learner."""

    name = "stream-forest"
    method = "adaptive-random-forest"
