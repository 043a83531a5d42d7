#!/bin/sh
# Sets PyTorch beside this crate: both sides in turns, so that a busy neighbour slows both, then the ratios of the medians.
#
#   [DEVICE=cuda:0] network/benches/compare.sh [ROUNDS] [WORKLOAD...]
#
# On a GPU the workloads are those of large batches, and of ten networks side by side.
# PyTorch is installed into a virtual environment under target/ the first time (set PYTHON to use another one).
set -eu
cd "$(dirname "$0")/../.."
rounds=${1:-3}
[ $# -gt 0 ] && shift
if [ -z "${PYTHON:-}" ]; then
    PYTHON=target/pytorch/bin/python
    if [ ! -x "$PYTHON" ]; then
        python3 -m venv target/pytorch
        "$PYTHON" -m pip install --quiet torch numpy
    fi
fi
device=${DEVICE:-cpu}
if [ "$device" = cpu ]; then
    features=
    usual="mlp-train mlp-train-masked lenet-train resnet20-infer resnet20-train"
else
    features="--features cuda"
    usual="resnet20-infer=4096 resnet20-train=128 resnet20-train=1024 mlp-train mlps-train=10"
fi
bench="cargo bench --quiet -p duress-network $features --bench speed --"
cargo build --quiet --profile bench -p duress-network $features --bench speed
log=$(mktemp)
trap 'rm -f "$log"' EXIT
round=0
while [ "$round" -lt "$rounds" ]; do
    for workload in ${*:-$usual}; do
        $bench --device "$device" "$workload" | tee -a "$log"
        "$PYTHON" network/benches/pytorch.py --device "$device" "$workload" 2>/dev/null | tee -a "$log"
    done
    round=$((round + 1))
done
"$PYTHON" - "$log" <<'PYTHON'
import statistics
import sys

times = {}
for line in open(sys.argv[1]):
    side, name, *rest = line.rstrip("\n").split("\t")
    if rest and "ms median" in rest[0]:
        times.setdefault((side, name), []).append(float(rest[0].split()[0]))
medians = {key: statistics.median(values) for key, values in times.items()}
print("\nworkload\tours ms\ttorch ms\tours / torch")
for (side, name), ours in medians.items():
    if side == "ours":
        for other, theirs in medians.items():
            if other[0] == "torch" and (other[1] == name or other[1].startswith(name + "-") and (side, other[1]) not in medians):
                print(f"{other[1]}\t{ours:.2f}\t{theirs:.2f}\t{ours / theirs:.2f}")
PYTHON
