"""Rounds per second of federated averaging against Flower's simulation: 100 clients, a 64-64-10 perceptron.

Handwritten digits are dealt to the clients evenly; in every round all of them take two steps of gradient descent, each
on all rows of its own, so that both sides must end with the same weights, which is checked. Flower runs in
`.venv-peers` as its own templates have it: a ClientApp per client on Ray's actors, one core each, and its FedAvg
strategy. Its clock runs from the end of the first round to that of the last, so that neither Ray nor the actors, nor
what they import, are counted; a client's rows lie in a file that is read in milliseconds. Ours is the whole loop of
`FedAvg().fit`, and is taken before and after. Seconds are by the clock, as Flower works in several processes.

    python benchmarks/federated.py
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Row, facts_of_peer, report, versions
from sklearn.datasets import load_digits

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Target
from manyways.models.backbones.perceptron import Perceptron
from manyways.models.heads import LinearHead
from manyways.models.network import Network
from manyways.models.predictor import Predictor
from manyways.training.events import Event
from manyways.training.run import Run

CLIENTS, ROUNDS, STEPS, RATE, TURNS, TARGET = 100, 30, 2, 0.1, 7, 30

PEER = """
import json, sys, time
import flwr, numpy as np, ray, torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch import nn
file = np.load(sys.argv[1])
settings = json.loads(str(file["settings"]))
place = sys.argv[1]
def network():
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
client = ClientApp()
@client.train()
def train(message, context):
    torch.set_num_threads(1)
    rows = np.load(place)
    mine = rows["holders"] == context.node_config["partition-id"]
    x, y = torch.from_numpy(rows["inputs"][mine]), torch.from_numpy(rows["labels"][mine])
    net = network()
    net.load_state_dict(message.content["arrays"].to_torch_state_dict())
    optimizer = torch.optim.SGD(net.parameters(), lr=settings["rate"])
    for _ in range(settings["steps"]):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    said = {"arrays": ArrayRecord(net.state_dict()), "metrics": MetricRecord({"num-examples": len(y)})}
    return Message(content=RecordDict(said), reply_to=message)
ends, weights = [], []
server = ServerApp()
@server.main()
def main(grid: Grid, context: Context) -> None:
    net = network()
    net.load_state_dict({name: torch.from_numpy(file[name]) for name in net.state_dict()})
    def after(number, found):
        ends.append(time.perf_counter())
        weights[:] = [tensor.flatten().tolist() for tensor in found.to_torch_state_dict().values()]
        return MetricRecord({})
    many = settings["clients"]
    strategy = FedAvg(fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=many, min_available_nodes=many)
    strategy.start(grid, ArrayRecord(net.state_dict()), num_rounds=settings["rounds"], evaluate_fn=after)
quiet = {"logging_level": "ERROR", "log_to_driver": False}
run_simulation(server, client, num_supernodes=settings["clients"], backend_config={
    "client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": quiet})
print(json.dumps({"seconds": [b - a for a, b in zip(ends[1:], ends[2:])], "weights": sum(weights, []),
                  "flwr": flwr.__version__, "ray": ray.__version__, "torch": torch.__version__}))
"""


def federation() -> tuple[Data, Predictor]:
    """Digits held by the clients, and a perceptron to start from."""
    inputs, labels = load_digits(return_X_y=True)
    holders = np.random.default_rng(0).permutation(len(labels)) % CLIENTS
    columns = [
        Column("x", "number", inputs),
        Column("label", "category", labels),
        Column("client", "category", holders),
    ]
    data = Data.from_columns(columns, {"input": ["x"], "label": ["label"], "client": ["client"]})
    torch.manual_seed(0)
    network = Network({"table": Perceptron(64, (64,), dropout=0.0)}, LinearHead(64, 10))
    start = Predictor(
        network=network, inputs=InputEncoding.fit(data), target=Target.fit(data), gives=frozenset({"embed"})
    )
    return data, start


def ours(method: mw.FedAvg, data: Data, start: Predictor) -> tuple[float, Predictor]:
    """Seconds from the first step to the last, and the model."""
    times: dict[str, float] = {}

    def note(event: Event) -> None:
        times[event.kind] = time.perf_counter()

    model = method.fit(data, start, budget=ROUNDS * STEPS, run=Run(listeners=[note]))
    assert isinstance(model, Predictor)
    assert model.lineage.facts["rounds"] == ROUNDS
    return times["end"] - times["start"], model


def peer(data: Data, start: Predictor) -> dict[str, Any]:
    """Seconds of every round but the first, the weights at the end, and versions."""
    names = dict(zip(("0.weight", "0.bias", "2.weight", "2.bias"), start.network.parameters(), strict=True))
    encoded = start.inputs.encode(data).batch(np.arange(len(data)), torch.device("cpu"))["table"]
    settings = {"clients": CLIENTS, "rounds": ROUNDS, "steps": STEPS, "rate": RATE}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "federation.npz"
        np.savez(
            path, inputs=encoded.numpy(), labels=data.take("label"), holders=data.take("client"),
            settings=json.dumps(settings), **{name: weight.detach().numpy() for name, weight in names.items()},
        )  # fmt: skip
        return facts_of_peer(PEER, str(path), FLWR_TELEMETRY_ENABLED="0", RAY_USAGE_STATS_ENABLED="0")


def run() -> list[Row]:
    """Measure ours, Flower, and ours again, on one thread each."""
    torch.set_num_threads(1)
    data, start = federation()
    method = mw.FedAvg(batch_size=len(data), local_steps=STEPS, learning_rate=RATE)
    ours(method, data, start)  # chooses how clients are run
    mine = [ours(method, data, start)[0] for _ in range(TURNS)]
    facts = peer(data, start)
    again = [ours(method, data, start) for _ in range(TURNS)]
    mine += [seconds for seconds, _ in again]
    weights = torch.cat([weight.detach().flatten() for weight in again[-1][1].network.parameters()])
    torch.testing.assert_close(weights, torch.tensor(facts["weights"]), rtol=1e-4, atol=1e-5)
    rates = ROUNDS / statistics.median(mine), 1 / statistics.median(facts["seconds"])
    return [
        {
            "name": f"FedAvg, {CLIENTS} clients, 64-64-10 perceptron, {ROUNDS} rounds",
            "ours": round(rates[0], 1),
            "peer": round(rates[1], 3),
            "unit": "rounds/s",
            "ratio": round(rates[0] / rates[1]),
            "target": f"≥ {TARGET}",
            "versions": versions() | {f"peer {name}": facts[name] for name in ("flwr", "ray", "torch")},
        }
    ]


if __name__ == "__main__":
    report("federated", run())
