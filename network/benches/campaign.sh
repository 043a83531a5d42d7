#!/bin/sh
# Sets a plain PyTorch loop beside fault campaigns of this crate: the same faults and images in turns, then seconds per fault and
# the ratios of the medians. The data must lie beside the checkout.
#
#   [DEVICE=cuda:0] network/benches/campaign.sh [ROUNDS] [FAULTS] [IMAGES] [FAULTS-SCREENED]
#
# Screening pays for its gradients once for all faults, so that its seconds per fault depend on how many there are; the last
# number is how many it is given. PyTorch is installed into a virtual environment under target/ the first time (set PYTHON to use
# another one).
set -eu
cd "$(dirname "$0")/../.."
rounds=${1:-3}
faults=${2:-20}
images=${3:-10000}
many=${4:-2000}
if [ -z "${PYTHON:-}" ]; then
    PYTHON=target/pytorch/bin/python
    if [ ! -x "$PYTHON" ]; then
        python3 -m venv target/pytorch
        "$PYTHON" -m pip install --quiet torch numpy zstandard
    fi
fi
"$PYTHON" -c 'import zstandard' 2>/dev/null || "$PYTHON" -m pip install --quiet zstandard
device=${DEVICE:-cpu}
features=
[ "$device" = cpu ] || features="--features cuda"
cargo build --quiet --profile bench -p duress-network $features --bench campaign
ours="cargo bench --quiet -p duress-network $features --bench campaign -- --device $device"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
round=0
while [ "$round" -lt "$rounds" ]; do
    $ours exact "$faults" "$images" | tee -a "$log"
    "$PYTHON" network/benches/campaign.py --device "$device" nchw "$faults" "$images" | tee -a "$log"
    $ours screened "$many" "$images" | tee -a "$log"
    "$PYTHON" network/benches/campaign.py --device "$device" channels-last "$faults" "$images" | tee -a "$log"
    round=$((round + 1))
done
"$PYTHON" - "$log" <<'PYTHON'
import statistics
import sys

times = {}
for line in open(sys.argv[1]):
    fields = line.rstrip("\n").split("\t")
    if len(fields) > 2 and "s per fault" in fields[2]:
        times.setdefault((fields[0], fields[1]), []).append(float(fields[2].split()[0]))
medians = {key: statistics.median(values) for key, values in times.items()}
peer = min(seconds for (side, _), seconds in medians.items() if side == "torch")
print("\nmethod\tseconds per fault\ttorch / this")
for (side, method), seconds in medians.items():
    print(f"{side} {method}\t{seconds:.4f}\t{peer / seconds:.1f}")
PYTHON
