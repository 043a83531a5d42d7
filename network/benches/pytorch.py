"""PyTorch's side of the comparison: the workloads of speed.rs, with the better memory layout and a fused Adam.

    python pytorch.py [WORKLOAD...]

For inference the faster of eager and traced-and-frozen is what counts: both are printed.
"""

import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

from resnet20 import ResNet20

torch.manual_seed(0)
torch.set_flush_denormal(True)


def bench(name, images, repetitions, once):
    for _ in range(max(3, repetitions // 10)):
        once()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        once()
        times.append(1e3 * (time.perf_counter() - start))
    median = statistics.median(times)
    print(f"torch\t{name}\t{median:.3f} ms median\t{min(times):.3f} ms least\t{1e3 * images / median:.0f} images/s", flush=True)


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )


def mlp():
    return nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )


class Masked(nn.Module):
    """The same network with every weight multiplied by a mask of 3.6 % ones in each step."""

    def __init__(self):
        super().__init__()
        self.layers = mlp()
        for index, layer in enumerate(self.layers):
            if isinstance(layer, nn.Linear):
                self.register_buffer(f"mask{index}", (torch.rand_like(layer.weight) < 0.036).float())

    def forward(self, x):
        for index, layer in enumerate(self.layers):
            if isinstance(layer, nn.Linear):
                x = F.linear(x, layer.weight * getattr(self, f"mask{index}"), layer.bias)
            else:
                x = layer(x)
        return x


def step(model, x, y):
    adam = torch.optim.Adam(model.parameters(), fused=True)

    def once():
        adam.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        adam.step()

    return once


def channels_last(module, x):
    return module.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)


def main(wanted):
    def is_wanted(name):
        return not wanted or name in wanted

    labels = lambda count: torch.arange(count) % 10
    if is_wanted("mlp-train"):
        bench("mlp-train", 60, 600, step(mlp(), torch.rand(60, 784), labels(60)))
    if is_wanted("mlp-train-masked"):
        bench("mlp-train-masked", 60, 600, step(Masked(), torch.rand(60, 784), labels(60)))
    if is_wanted("lenet-train"):
        x = torch.rand(64, 1, 28, 28)
        bench("lenet-train", 64, 300, step(lenet(), x, labels(64)))
        bench("lenet-train-channels-last", 64, 300, step(*channels_last(lenet(), x), labels(64)))
    if is_wanted("resnet20-infer"):
        with torch.inference_mode():
            model, x = channels_last(ResNet20().eval(), torch.rand(128, 3, 32, 32))
            bench("resnet20-infer", 128, 30, lambda: model(x))
            frozen = torch.jit.freeze(torch.jit.trace(model, x))
            bench("resnet20-infer-frozen", 128, 30, lambda: frozen(x))
    if is_wanted("resnet20-train"):
        model, x = channels_last(ResNet20().train(), torch.rand(128, 3, 32, 32))
        bench("resnet20-train", 128, 14, step(model, x, labels(128)))


main(sys.argv[1:])
