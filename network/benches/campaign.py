"""PyTorch's side of campaign.sh: the published campaign on ResNet-20 as a plain loop.

    python campaign.py nchw|channels-last FAULTS IMAGES

Outputs without a fault are computed once; then for each fault a weight is changed, all images are classified, and the weight is
put back. All threads are used.
"""

import ast
import csv
import pathlib
import sys
import time

import numpy
import torch
import zstandard
from torch import nn
from torch.nn import functional as F

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared"
BATCH = 128


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.pad = stride, (outputs - inputs) // 2

    def forward(self, x):
        short = x if self.stride == 1 else F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + short)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for stage, outputs in enumerate([16, 32, 64]):
            blocks = []
            for block in range(3):
                blocks.append(Block(inputs, outputs, 2 if stage and block == 0 else 1))
                inputs = outputs
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def load(images):
    state = torch.load(SHARED / "weights/resnet20-cifar10.th", map_location="cpu", weights_only=False)["state_dict"]
    net = ResNet20()
    net.load_state_dict({name.removeprefix("module."): value for name, value in state.items()}, strict=False)
    with open(SHARED / "data/cifar-10/test_batch.bin.zst", "rb") as file:
        raw = zstandard.ZstdDecompressor().stream_reader(file).read()
    rows = numpy.frombuffer(raw, numpy.uint8).reshape(-1, 3073)[:images]
    x = torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).astype(numpy.float32) / 255)
    mean, std = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2023, 0.1994, 0.2010])
    return net.eval(), (x - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)


def main():
    layout, count, images = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    net, x = load(images)
    if layout == "channels-last":
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    rows = list(csv.DictReader(open(SHARED / "campaigns/cifar10-resnet20.csv")))
    rows = rows[:: max(1, len(rows) // min(count, len(rows)))][:count]
    parameters, batches = dict(net.named_parameters()), x.split(BATCH)
    with torch.inference_mode():

        def run():
            return torch.cat([net(batch) for batch in batches])

        golden = run()
        predicted = golden.argmax(1)
        masked = critical = 0
        start = time.perf_counter()
        for row in rows:
            weight, index = parameters[row["Layer"] + ".weight"].data, ast.literal_eval(row["TensorIndex"])
            old = weight[index].clone()
            bits = numpy.float32(old.item()).view(numpy.uint32) ^ numpy.uint32(1 << int(row["Bit"]))
            weight[index] = torch.tensor(bits.view(numpy.float32))
            faulty = run()
            weight[index] = old
            masked += int((faulty == golden).all(1).sum())
            critical += int((faulty.argmax(1) != predicted).sum())
        seconds = (time.perf_counter() - start) / len(rows)
    print(f"torch\t{layout}\t{seconds:.4f} s per fault\t{len(rows)} faults\t{images} images")
    print(f"masked {masked} non-critical {len(rows) * images - masked - critical} critical {critical}", flush=True)


main()
