"""The peers' side of attacks.sh: attacks by foolbox, torchattacks and AutoAttack, one JSON object a line; and the comparison."""

import csv
import gzip
import json
import os
import statistics
import sys
import time

SIZES = [0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3]
STEPS = 20
SINGLE = {"natural": 0.05, "hardened": 0.2}
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0 1 2").split()]


def load(network, images, data, work):
    import numpy as np
    import torch
    from safetensors.torch import load_file

    tensors = load_file(f"{work}/{network}.safetensors")
    layers = [torch.nn.Flatten()]
    for name in ["hidden.1", "hidden.2", "output"]:
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers += [layer, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1]).eval()
    # Nobody asks for these: without them the peers are faster.
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with gzip.open(f"{data}/mnist/t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)[:images]
    with gzip.open(f"{data}/mnist/t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)[:images]
    x = torch.from_numpy(pixels.astype(np.float32) / np.float32(255))
    return model, x, torch.from_numpy(labels.astype(np.int64))


def say(**line):
    print(json.dumps(line), flush=True)


def sweep(network, images, data, work):
    import foolbox
    import torchattacks

    model, x, y = load(network, images, data, work)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    pgd = foolbox.attacks.LinfPGD(rel_stepsize=2.5 / STEPS, steps=STEPS, random_start=False)
    for name, attack in [("fgsm", foolbox.attacks.LinfFastGradientAttack(random_start=False)), ("pgd", pgd)]:
        start = time.perf_counter()
        fooled = sum(
            attack(wrapped, x[at : at + 500], y[at : at + 500], epsilons=SIZES)[2].float().sum(1)
            for at in range(0, len(x), 500)
        )
        seconds = time.perf_counter() - start
        say(peer="foolbox", network=network, attack=name, seconds=seconds, robust=(1 - fooled / len(x)).tolist())
    for name in ["fgsm", "pgd"]:
        robust, start = [], time.perf_counter()
        for eps in SIZES:
            attack = (
                torchattacks.FGSM(model, eps=eps)
                if name == "fgsm"
                else torchattacks.PGD(model, eps=eps, alpha=2.5 * eps / STEPS, steps=STEPS, random_start=False)
            )
            right = sum(
                int((model(attack(x[at : at + 500], y[at : at + 500])).argmax(1) == y[at : at + 500]).sum())
                for at in range(0, len(x), 500)
            )
            robust.append(right / len(x))
        say(peer="torchattacks", network=network, attack=name, seconds=time.perf_counter() - start, robust=robust)


def single(network, images, data, work):
    from pyautoattack import AutoAttack

    model, x, y = load(network, images, data, work)
    sets = {"apgd": ["apgd-ce"], "apgdt": ["apgd-t"], "square": ["square"]}
    if os.environ.get("SETS", "1") != "0":
        sets["autoattack"] = ["apgd-ce", "apgd-t", "fab-t", "square"]
    runs = [(name, seed) for name in sets for seed in (SEEDS if name != "autoattack" else [0])]
    for name, seed in runs:
        theirs = AutoAttack(model, eps=SINGLE[network], norm="Linf", seed=seed, version="custom", attacks=sets[name])
        # The settings of the standard set.
        theirs.apgd.n_restarts = 1
        theirs.fab.n_restarts = 1
        start = time.perf_counter()
        moved, _ = theirs.run_standard_evaluation(x, y, batch_size=500)
        seconds = time.perf_counter() - start
        right = (model(moved).argmax(1) == y).float().mean().item()
        say(peer="AutoAttack", network=network, attack=name, seconds=seconds, robust=[right])


def mean(rows):
    return [statistics.mean(column) for column in zip(*rows)]


def compare(work):
    ours, times = {}, {}
    # The stages of each attack, of which the means are taken.
    stages = {"fgsm": [""], "pgd": ["_1"], "warm": ["_1"], "autoattack": [""]}
    stages |= {attack: [f"_{seed}" for seed in SEEDS] for attack in ["apgd", "apgdt", "square"]}
    for network in ["natural", "hardened"]:
        for attack, names in stages.items():
            paths = [f"{work}/{network}_{attack}{name}.csv" for name in names]
            tables = [list(csv.DictReader(open(path))) for path in paths if os.path.exists(path)]
            sizes = SIZES if attack in ("fgsm", "pgd", "warm") else [SINGLE[network]]
            rows = [{float(row["eps"]): float(row["value"]) for row in table if row["metric"] == "robust_accuracy"} for table in tables]
            if rows:
                ours[network, attack] = mean([[row[eps] for eps in sizes] for row in rows])
    for line in open(f"{work}/log.jsonl"):
        event = json.loads(line)
        if event["event"] == "computed" and "_" in event["instance"]:
            network, attack = event["instance"].split("_")[:2]
            times.setdefault(("ours", network, attack), []).append(event["seconds"])
    peers = {}
    for line in open(f"{work}/peers.jsonl"):
        peer = json.loads(line)
        # Ours that starts warm is set beside theirs that does not.
        for attack in [peer["attack"]] + ["warm"] * (peer["attack"] == "pgd"):
            key = (peer["peer"], peer["network"], attack)
            peers.setdefault(key, []).append(peer["robust"])
            times.setdefault(key, []).append(peer["seconds"])
    print("network\tattack\tpeer\tours %\tpeer %\tlargest difference in points\tours weaker by\tours s\tpeer s\tpeer / ours")
    for (peer, network, attack), robust in peers.items():
        own, robust = ours[network, attack], mean(robust)
        gaps = [100 * (a - b) for a, b in zip(own, robust)]
        seconds = statistics.median(times["ours", network, attack]), statistics.median(times[peer, network, attack])
        listed = lambda values: " ".join(f"{100 * value:.1f}" for value in values)
        print(
            f"{network}\t{attack}\t{peer}\t{listed(own)}\t{listed(robust)}\t{max(map(abs, gaps)):.2f}\t"
            f"{max(gaps):.2f}\t{seconds[0]:.2f}\t{seconds[1]:.2f}\t{seconds[1] / seconds[0]:.1f}"
        )


if __name__ == "__main__":
    task, network, images, data, work = sys.argv[1:]
    if task == "compare":
        compare(work)
    else:
        {"sweep": sweep, "single": single}[task](network, int(images), data, work)
