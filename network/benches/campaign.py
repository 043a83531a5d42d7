"""PyTorch's side of campaign.sh: the published campaign on ResNet-20 as a plain loop.

    python campaign.py [--device DEVICE] nchw|channels-last FAULTS IMAGES

Outputs without a fault are computed once; then for each fault a weight is changed, all images are classified, and the weight is
put back. All threads are used; on a GPU nothing is rounded to TF32, and batches are large.
"""

import ast
import csv
import pathlib
import sys
import time

import numpy
import torch
import zstandard

from resnet20 import ResNet20

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared"
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


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
    words = sys.argv[1:]
    device = torch.device("cpu")
    if words[0] == "--device":
        device, words = torch.device(words[1]), words[2:]
    layout, count, images = words[0], int(words[1]), int(words[2])
    net, x = (part.to(device) for part in load(images))
    if layout == "channels-last":
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    rows = list(csv.DictReader(open(SHARED / "campaigns/cifar10-resnet20.csv")))
    rows = rows[:: max(1, len(rows) // min(count, len(rows)))][:count]
    parameters = dict(net.named_parameters())
    batches = x.split(128 if device.type == "cpu" else 4096)
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
