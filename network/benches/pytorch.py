"""PyTorch's side of the comparison: the workloads of speed.rs, with the better memory layout and a fused Adam.

    python pytorch.py [--device DEVICE] [WORKLOAD...]

For inference the faster of eager and traced-and-frozen is what counts: both are printed. On a GPU nothing is rounded to TF32, and
what it reaches in a large product of matrices is printed as its peak.
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
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.benchmark = True


def bench(name, images, repetitions, once):
    wait = torch.cuda.synchronize if torch.get_default_device().type == "cuda" else lambda: None
    for _ in range(max(3, repetitions // 10)):
        once()
    wait()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        once()
        wait()
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


def mlps(count):
    steps = [step(mlp(), torch.rand(60, 784), labels(60)) for _ in range(count)]
    return lambda: [once() for once in steps]


def labels(count):
    return torch.arange(count) % 10


def peak(size=8192, repetitions=10):
    a, b = torch.rand(size, size), torch.rand(size, size)
    times = []
    for _ in range(repetitions):
        torch.cuda.synchronize()
        start = time.perf_counter()
        a @ b
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    print(f"torch\tpeak\t{torch.cuda.get_device_name()}\t{2e-9 * size**3 / min(times):.0f} GFLOP/s", flush=True)


def run(name):
    kind, _, setting = name.partition("=")
    count = int(setting) if setting.isdigit() else None
    if kind == "mlp-train":
        bench(name, count or 60, 600, step(mlp(), torch.rand(count or 60, 784), labels(count or 60)))
    elif kind == "mlp-train-masked":
        bench(name, 60, 600, step(Masked(), torch.rand(60, 784), labels(60)))
    elif kind == "mlps-train":
        bench(name, 60 * (count or 10), 200, mlps(count or 10))
    elif kind == "lenet-train":
        count = count or 64
        x = torch.rand(count, 1, 28, 28)
        bench(name, count, 300, step(lenet(), x, labels(count)))
        bench(name + "-channels-last", count, 300, step(*channels_last(lenet(), x), labels(count)))
    elif kind == "resnet20-infer":
        count = count or 128
        with torch.inference_mode():
            model, x = channels_last(ResNet20().eval(), torch.rand(count, 3, 32, 32))
            bench(name, count, 30, lambda: model(x))
            frozen = torch.jit.freeze(torch.jit.trace(model, x))
            bench(name + "-frozen", count, 30, lambda: frozen(x))
    elif kind == "resnet20-train":
        count = count or 128
        model, x = channels_last(ResNet20().train(), torch.rand(count, 3, 32, 32))
        bench(name, count, 14, step(model, x, labels(count)))
    else:
        raise SystemExit(f"no workload {name}")


def main(words):
    if words[:1] == ["--device"]:
        torch.set_default_device(words[1])
        words = words[2:]
        if torch.get_default_device().type == "cuda":
            peak()
    for name in words or ["mlp-train", "mlp-train-masked", "lenet-train", "resnet20-infer", "resnet20-train"]:
        run(name)


main(sys.argv[1:])
