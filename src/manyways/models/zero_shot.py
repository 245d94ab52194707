"""Zero-shot classifiers: rows compared with the names of classes, by a model that has both in one space."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.encoders.base import Encoder
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Target
from manyways.errors import ParameterError
from manyways.models.backbones.base import Backbone
from manyways.models.heads import SimilarityHead
from manyways.models.network import Network
from manyways.models.predictor import Predictor

LABEL, TEMPLATE = "label", "a picture of {}"


def similarity_head(projection: Tensor, vectors: NDArray[np.float32], scale: float) -> SimilarityHead:
    """The head that compares features, through `projection` [width, features], with `vectors` [classes, width]."""
    with torch.random.fork_rng():  # new layers draw weights, which are replaced at once
        head = SimilarityHead(projection.shape[1], projection.shape[0], len(vectors))
    with torch.no_grad():
        head.projection.copy_(projection)
        head.vectors.copy_(torch.from_numpy(vectors))
        head.scale.fill_(scale)
    return head


def comparing_predictor(
    backbone: Backbone, head: SimilarityHead, name: str, encoder: Encoder, target: Target
) -> Predictor:
    """The classifier of the classes of `target`, without a lineage, with a network of its own."""
    network = Predictor(network=Network({name: backbone}, head), inputs=InputEncoding({name: encoder}))
    return Predictor(
        network=network.copy_of_network(), inputs=network.inputs, target=target, gives=frozenset({"classify", "embed"})
    )


def check_class_names(classes: Sequence[str] | None, template: str, where: str) -> None:
    """Raise ParameterError, naming fields of `where`, if `classes` (None: not known yet) or `template` are unfit."""
    if "{}" not in template:
        raise ParameterError(f"{where}.template must hold {{}}, where the name of the class goes; got {template!r}.")
    if classes is not None and (len(set(classes)) < 2 or len(set(classes)) < len(classes)):
        raise ParameterError(f"{where}.classes must be two names or more, each another; got {tuple(classes)!r}.")
