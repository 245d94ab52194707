"""Networks for several labels: one that they share, one for each, or several that share in part."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from manyways.checked_json import DAMAGED, described
from manyways.data.targets import Outputs, Targets
from manyways.errors import ModelError
from manyways.models.heads import HEADS, Head, StructuredHead
from manyways.models.lockstep import CrossStitch, Skippable
from manyways.models.network import Inputs, Network, rebuild_network


@dataclass(frozen=True)
class Way:
    """The way from inputs to the outputs of a label.

    Attributes:
        label: The label.
        network: The place of the network that it goes through.
        head: The place among the heads beside the networks; None: the network's own.
        start: The first of its columns among the outputs of a head that several labels share.
        stop: The first column after them; None: all that the head gives.
    """

    label: str
    network: int = 0
    head: int | None = None
    start: int = 0
    stop: int | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON values that the constructor takes."""
        return dict(vars(self))


class Networks(nn.Module):
    """Networks over the same inputs, and heads beside their own, from which each label has its outputs.

    Labels of one vector of outputs a row stand side by side in the head of the network that they share; a label with a
    structure has a head of its own.
    """

    def __init__(self, networks: Sequence[Network], ways: Sequence[Way], heads: Sequence[Head] = ()) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.heads = nn.ModuleList(heads)
        self.ways = tuple(ways)
        for way in self.ways:
            head = self.head_of(way)
            if isinstance(head, StructuredHead):
                head.tie(self.members[way.network])

    @property
    def members(self) -> list[Network]:
        """The networks."""
        return [network for network in self.networks if isinstance(network, Network)]

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs, in the order in which every network reads them."""
        return self.members[0].names if self.members else ()

    @property
    def may_lack(self) -> tuple[str, ...]:
        """The modalities that rows may lack."""
        return self.members[0].may_lack

    def head_of(self, way: Way) -> Head:
        """The head of a label. Raises ModelError where it has none."""
        head = self.members[way.network].head if way.head is None else self.heads[way.head]
        if not isinstance(head, Head):
            raise ModelError(f"The network has no head for the label {way.label!r}; {DAMAGED}.")
        return head

    def own_parameters(self, label: str) -> list[nn.Parameter]:
        """The parameters that are of one label alone: those of its head, and of its copies of what else there is.

        Those of a head of several labels are the last layer's, whose rows are each of one label.
        """
        (way,) = (way for way in self.ways if way.label == label)
        head = self.head_of(way)
        if way.stop is None:
            return list(head.parameters())
        return [] if head.last is None else list(head.last.parameters())

    def forward(self, inputs: Inputs, rows: Mapping[str, Tensor] | None = None) -> dict[str, Outputs]:
        """The outputs of the labels by name.

        Args:
            inputs: Encoded rows.
            rows: The rows [rows] of which a label's outputs are asked, bool; labels that are not in it are left out.
                None: all labels of all rows.
        """
        wanted = [way for way in self.ways if rows is None or way.label in rows]
        outputs: dict[str, Outputs] = {}
        for place, network in enumerate(self.members):
            ways = [way for way in wanted if way.network == place]
            if ways:
                outputs |= self._outputs(network, ways, inputs, rows)
        return {way.label: outputs[way.label] for way in wanted}

    def _outputs(
        self, network: Network, ways: Sequence[Way], inputs: Inputs, rows: Mapping[str, Tensor] | None
    ) -> dict[str, Outputs]:
        """The outputs of labels that share `network`, whose backbones each row goes through once."""
        lockstep = network.lockstep
        read = lockstep is not None or any(self.head_of(way).reads_tokens for way in ways)
        tokens = network.tokens(inputs if lockstep is None else lockstep.repeated(inputs)) if read else None
        features: dict[int, Tensor] = {}
        outputs: dict[str, Outputs] = {}
        for way in ways:
            place = 0 if lockstep is None else self.ways.index(way)
            own = tokens if lockstep is None or tokens is None else lockstep.own(tokens, place)
            head, those = self.head_of(way), None if rows is None else rows[way.label]
            if head.reads_tokens and own is not None:
                some = own if those is None or bool(those.all()) else {name: own[name].at(those) for name in own}
                outputs[way.label] = head.from_tokens(some)
                continue
            if place not in features:
                features[place] = network.features(inputs) if own is None else network.pooled(own, inputs)
            given = head(features[place])[:, way.start : way.stop]
            outputs[way.label] = given if those is None else given[those]
        return outputs

    def config(self) -> dict[str, Any]:
        """JSON values from which `rebuild_networks` makes the same architecture."""
        return {
            "networks": [network.config() for network in self.members],
            "heads": [{"name": head.name, **head.config} for head in self.heads if isinstance(head, Head)],
            "ways": [way.to_json() for way in self.ways],
        }

    def only(self, label: str) -> Network:
        """A copy of the network that makes the outputs of `label`, without its other outputs."""
        ((place, way),) = ((place, way) for place, way in enumerate(self.ways) if way.label == label)
        network = self.trunk(way.network)
        if network.lockstep is not None:
            network.lockstep = replace(network.lockstep, place=place)
        head = copy.deepcopy(self.head_of(way))
        if way.stop is not None:
            _cut(head, way.start, way.stop)
        network.put_head(head)
        return network

    def trunk(self, place: int = 0) -> Network:
        """A copy of a network without its head."""
        network = self.members[place]
        head = network.head
        network.head = None
        try:
            alone = copy.deepcopy(network)
        finally:
            network.head = head
        return alone


@dataclass(frozen=True)
class Sharing:
    """The parts of a network that each label uses.

    Attributes:
        kind: "cross-stitch": the part of a label's own features in what it goes on with after each layer, of the sizes
            of all parts; "adashare": 1 for each block that it passes through, 0 for one that it skips.
        labels: The labels.
        blocks: The layers or blocks, from input to output.
        values: A row for each label, a column for each block.
    """

    kind: str
    labels: tuple[str, ...]
    blocks: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {"kind": self.kind, "labels": list(self.labels), "blocks": list(self.blocks),
                "values": [list(row) for row in self.values]}  # fmt: skip


@torch.no_grad()
def sharing_of(networks: Networks) -> Sharing | None:
    """The parts that labels share of networks that they pass side by side; None of others."""
    (network, *others) = networks.members
    if network.lockstep is None or others:
        return None
    blocks, columns = [], []
    for name, part in zip(network.names, network.parts, strict=True):
        units = [unit for unit in part.modules() if isinstance(unit, CrossStitch | Skippable)]
        for at, unit in enumerate(units):
            blocks.append(f"{name} {at + 1}" if len(network.parts) > 1 else str(at + 1))
            if isinstance(unit, Skippable):
                columns.append(unit.policy.tolist())
            else:
                sizes = unit.alphas.abs()
                columns.append([round(each, 4) for each in (sizes.diagonal() / sizes.sum(1)).tolist()])
    labels = tuple(way.label for way in networks.ways)
    values = tuple(tuple(column[place] for column in columns) for place in range(len(labels)))
    return Sharing(network.lockstep.kind, labels, tuple(blocks), values)


def _cut(head: Head, start: int, stop: int) -> None:
    """Leave the outputs from `start` to `stop` alone to `head`. Raises ModelError where it has no last layer."""
    last = head.last
    if last is None:
        raise ModelError(f"The head {head.name!r} has no outputs that can be told apart; {DAMAGED}.")
    last.weight = nn.Parameter(last.weight.detach()[start:stop].clone())
    last.bias = nn.Parameter(last.bias.detach()[start:stop].clone())
    last.out_features = stop - start
    head.config = {**head.config, "outputs": stop - start}


def ways_side_by_side(targets: Targets, networks: int) -> list[Way]:
    """The ways of labels of one vector of outputs a row: side by side in one network's head, or a network for each."""
    if networks > 1:
        return [Way(name, place) for place, name in enumerate(targets.names)]
    ends = [0]
    for target in targets.members:
        ends.append(ends[-1] + target.width)
    return [Way(name, 0, None, ends[at], ends[at + 1]) for at, name in enumerate(targets.names)]


def rebuild_networks(saved: Mapping[str, Any], targets: Targets) -> Networks:
    """The architecture that `Networks.config` described, with random weights.

    Raises:
        ModelError: It does not fit.
    """
    given = described(saved, "the networks", ModelError)
    networks = [rebuild_network(each) for each in given.all("networks", dict)]
    if "ways" not in saved:  # models of the first version
        return Networks(networks, ways_side_by_side(targets, len(networks)))
    heads = [HEADS.rebuild(each) for each in given.all("heads", dict)]
    ways = [_way(each, len(networks), len(heads)) for each in given.all("ways", dict)]
    if [way.label for way in ways] != list(targets.names):
        raise ModelError(f"The networks are for {[way.label for way in ways]}, the labels {targets.names}; {DAMAGED}.")
    return Networks(networks, ways, heads)


def _way(saved: Mapping[str, Any], networks: int, heads: int) -> Way:
    given = described(saved, "the way to a label's outputs", ModelError)
    head, stop = given.get("head", int, None), given.get("stop", int, None)
    way = Way(given.get("label", str), given.get("network", int), head, given.get("start", int), stop)
    inside = 0 <= way.network < networks and (head is None or 0 <= head < heads)
    if not inside or way.start < 0 or (stop is not None and stop <= way.start):
        raise ModelError(f"The model describes a way to {way.label!r} that is not there; {DAMAGED}.")
    return way
