"""What policies, streams and federations reach on real data and in real environments, beside what others say of them.

    python benchmarks/quality/elsewhere.py [policies] [streams] [federations]

Stable-Baselines3 and River run in `.venv-peers`. docs/results.md keeps what was printed.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import manyways as mw
from manyways.methods.expressions import parse_method

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder, facts_of_peer
from stream import PEER, blobs, peer, table

LEARNERS_OF_STREAMS = (
    "hoeffding-tree", "adaptive-random-forest", "sliding-window-neighbours",
    "sliding-window-neighbours(drift='adwin')", "online-sgd", "no-change", "running-majority",
)  # fmt: skip

SEEDS, EPISODES, LAKE_EPISODES = (0, 1, 2), 20, 1000
SOURCE = Path(mw.__file__).parents[1]

EVALUATE = """
import json, sys
import gymnasium, stable_baselines3
from stable_baselines3.common.evaluation import evaluate_policy
import manyways as mw
environment = gymnasium.make(sys.argv[2])
environment.reset(seed=0)
mean, deviation = evaluate_policy(mw.load(sys.argv[1]), environment, n_eval_episodes=int(sys.argv[3]))
print(json.dumps({"mean": mean, "deviation": deviation, "version": stable_baselines3.__version__}))
"""


def policies() -> None:
    """Reward of an episode with default settings, by our `evaluate` and by Stable-Baselines3's `evaluate_policy`."""
    for way, world, episodes in (("ppo", "CartPole-v1", EPISODES), ("q-learning", "FrozenLake-v1", LAKE_EPISODES)):
        for seed in SEEDS:
            model, seconds = timed(way, world, None, seed)
            ours = model.evaluate(world, episodes=episodes)["mean_reward"]
            with tempfile.TemporaryDirectory() as place:
                model.save(Path(place) / "policy")
                theirs = facts_of_peer(
                    EVALUATE, f"{place}/policy", world, str(episodes), PYTHONWARNINGS="ignore", PYTHONPATH=str(SOURCE)
                )
            print(
                f"  {way} on {world}, seed {seed}, {model.lineage.steps} steps: {ours:g} by evaluate, "
                f"{theirs['mean']:g} ± {theirs['deviation']:.2f} by evaluate_policy of Stable-Baselines3 "
                f"{theirs['version']}, {episodes} episodes; {seconds:.1f} s",
                flush=True,
            )


def streams() -> None:
    """Prequential accuracy of logistic regression with standardisation on the way, beside River's; and of the others.

    What River's trees, forests and neighbours reach on all rows is printed by `benchmarks/stream.py whole`.
    """
    for name, file in (("elec", "elec.csv.gz"), ("sea", "sea_stream.csv.gz")):
        inputs, labels = table(file)
        ours = mw.OnlineSGD().fit(mw.read((inputs, labels))).prequential["accuracy"]
        theirs = json.loads(peer(PEER, {"inputs": inputs, "labels": labels}))
        print(
            f"  {name}, {len(labels):,} rows: {ours:.4f}, River {theirs['river']} {theirs['accuracy']:.4f}",
            flush=True,
        )
    for name, (inputs, labels) in (
        ("elec", table("elec.csv.gz")),
        ("sea", table("sea_stream.csv.gz")),
        ("rbf", blobs()),
    ):
        data = mw.read((inputs, labels))
        for way in LEARNERS_OF_STREAMS:
            scores = [parse_method(way).fit(data, seed=seed).prequential["accuracy"] for seed in seeds_of(way)]
            print(f"  {name}, {way}: {', '.join(f'{score:.4f}' for score in scores)}", flush=True)


def seeds_of(way: str) -> tuple[int, ...]:
    """The seeds that a learner of streams is tried with: a forest draws, the others do not."""
    return SEEDS if way == "adaptive-random-forest" else SEEDS[:1]


def federations() -> None:
    """Fashion-MNIST, held by 100 clients (Dirichlet, α = 0.5); on all test images, with the ε where there is noise."""
    data = mw.read(data_folder("fashion-mnist")).with_clients(100, alpha=0.5)
    tenth, all_asked = "participation=0.1, local_steps=20, batch_size=20", "local_steps=10, batch_size=50"
    noise = "clip_update=0.5, noise_multiplier=4.0, delta=0.001, noise_seed=0"
    for way, steps in (
        (f"fed-avg(backbone='flat', {tenth})", 2000),
        (f"fed-avg(backbone='conv4-strided', {tenth})", 2000),
        (f"fed-avg(backbone='flat', {all_asked})", 300),
        (f"fed-avg(backbone='flat', {all_asked}, {noise})", 300),
    ):
        model, seconds = timed(way, data, steps, 0)
        facts = model.lineage.facts
        print(
            f"  {way}, {facts['rounds']} rounds: accuracy {model.evaluate(data.test)['accuracy']:.4f}"
            f"{_privacy(facts, way)}; {seconds:.0f} s",
            flush=True,
        )


def _privacy(facts: dict[str, Any], way: str) -> str:
    """The ε of a model, and that which the accountant gives for its rounds at once."""
    if "privacy" not in facts:
        return ""
    import dp_accounting
    from dp_accounting import rdp

    method: Any = parse_method(way)
    gaussian = dp_accounting.GaussianDpEvent(method.noise_multiplier)
    each = dp_accounting.PoissonSampledDpEvent(method.participation, gaussian)
    accountant = rdp.RdpAccountant()
    accountant.compose(dp_accounting.SelfComposedDpEvent(each, facts["rounds"]))
    stated, direct = facts["privacy"]["epsilon"], accountant.get_epsilon(method.delta)
    return f", ε {stated:.6f} for δ {method.delta} (by {facts['privacy']['accountant']} alone {direct:.6f})"


def timed(way: str, data: Any, budget: int | None, seed: int) -> tuple[Any, float]:
    """What `way` makes of `data`, and the processor time that it took."""
    began = time.process_time()
    method = parse_method(way)
    model = method.fit(data, seed=seed) if budget is None else method.fit(data, budget=budget, seed=seed)
    return model, time.process_time() - began


ALL = (policies, streams, federations)


def main() -> None:
    """Do those that are named, or all."""
    torch.set_num_threads(1)
    for each in (each for each in ALL if not sys.argv[1:] or each.__name__ in sys.argv[1:]):
        print(f"{each.__name__}: {(each.__doc__ or '').strip()}", flush=True)
        each()


if __name__ == "__main__":
    main()
