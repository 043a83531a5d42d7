#!/bin/sh
# Sets foolbox, torchattacks and AutoAttack beside `perturb`: the same networks, images, sizes and steps; robust accuracies side by
# side, and the times of a sweep over eight sizes, both sides in turns so that a busy neighbour slows both. `warm` is the same sweep
# by `warm_start`, with 5 steps that shorten at each size.
#
#   [THREADS=N] benches/attacks.sh [IMAGES] [ROUNDS]
#
# Auto-PGD and Square are run with three seeds on both sides (set SEEDS to use others), whose means are compared.
#
# Wants MNIST (`duress data fetch mnist`, or a folder in DURESS_DATA). The Python packages are installed into a virtual environment
# under target/ the first time; set PYTHON to use another one, and SETS=0 to leave out AutoAttack's set, which takes minutes.
set -eu
cd "$(dirname "$0")/.."
images=${1:-2000}
rounds=${2:-3}
sizes='[0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3]'
data=${DURESS_DATA:-../shared/data}
work=target/attacks
threads=${THREADS:-$(nproc)}
export SEEDS="${SEEDS:-0 1 2}"
export OMP_NUM_THREADS="$threads"
mkdir -p "$work"
if [ -z "${PYTHON:-}" ]; then
    PYTHON=target/peers/bin/python
    if [ ! -x "$PYTHON" ]; then
        python3 -m venv target/peers
        "$PYTHON" -m pip install --quiet torch numpy safetensors foolbox torchattacks pyautoattack
    fi
fi
[ -n "${DURESS:-}" ] || cargo build --quiet --release
duress=${DURESS:-target/release/duress}
cat > "$work/study.toml" <<SPEC
[study]
name = "beside-peers"

[data.images]
source = "mnist"

[model.dense]
arch = "mlp"
hidden = [300, 100]

[stage.natural]
kind = "train"
model = "dense"
data = "images"
epochs = 5
batch = 60
optimizer = { adam = { lr = 1.2e-3, eps = 1e-7 } }

[stage.hardened]
kind = "train"
model = "dense"
data = "images"
epochs = 5
batch = 60
optimizer = { adam = { lr = 1.2e-3, eps = 1e-7 } }
adversarial = { attack = "pgd", eps = 0.2, steps = 7 }
SPEC
stage() { # name, network, images, seed, checks, attack
    printf '\n[stage.%s]\nkind = "perturb"\nweights = "%s"\ndata = "images.test"\nsamples = %s\nseed = %s\nchecks = %s\nattack = %s\n' "$@" >> "$work/study.toml"
}
for network in natural hardened; do
    stage "${network}_fgsm" "$network" "$images" 0 0 "{ name = \"fgsm\", eps = $sizes }"
    # Another seed is another key, so that every round computes.
    for round in $(seq "$rounds"); do
        stage "${network}_pgd_$round" "$network" "$images" "$round" 64 "{ name = \"pgd\", eps = $sizes, steps = 20, random_start = false }"
        stage "${network}_warm_$round" "$network" "$images" "$round" 64 "{ name = \"pgd\", eps = $sizes, steps = 5, shortening = true, random_start = false }"
        echo 'warm_start = true' >> "$work/study.toml"
    done
    eps=0.05
    [ "$network" = hardened ] && eps=0.2
    for seed in $SEEDS; do
        stage "${network}_apgd_$seed" "$network" 500 "$seed" 0 "{ name = \"apgd\", eps = $eps, steps = 100 }"
        stage "${network}_apgdt_$seed" "$network" 500 "$seed" 0 "{ name = \"apgd-t\", eps = $eps, steps = 100 }"
        stage "${network}_square_$seed" "$network" 500 "$seed" 0 "{ name = \"square\", eps = $eps, queries = 5_000 }"
    done
    [ "${SETS:-1}" = 0 ] || stage "${network}_autoattack" "$network" 500 0 0 "{ name = \"autoattack\", eps = $eps }"
done
# Trainings are kept; a copy of the cache in which everything else is computed anew.
run() {
    "$duress" run "$work/study.toml" --data "$data" --cache "$work/cache" --jobs 1 --threads "$threads" --json "$@" >> "$work/log.jsonl"
}
: > "$work/log.jsonl"
rm -rf "$work/cache"
"$duress" run "$work/study.toml" --data "$data" --cache "$work/trained" --quiet --only natural --only hardened
cp -r "$work/trained" "$work/cache"
for network in natural hardened; do
    "$duress" export "$work/study.toml" "$network" -o "$work/$network.safetensors" --data "$data" --cache "$work/cache"
done
: > "$work/peers.jsonl"
for round in $(seq "$rounds"); do
    for network in natural hardened; do
        run --only "${network}_pgd_$round" --only "${network}_warm_$round"
        "$PYTHON" benches/attacks.py sweep "$network" "$images" "$data" "$work" >> "$work/peers.jsonl"
    done
done
run
searches=
for seed in $SEEDS; do searches="$searches apgd_$seed apgdt_$seed square_$seed"; done
for stage in fgsm pgd_1 warm_1 $searches autoattack; do
    for network in natural hardened; do
        grep -q "stage.${network}_$stage\]" "$work/study.toml" || continue
        "$duress" table "$work/study.toml" "${network}_$stage" -o "$work/${network}_$stage.csv" --data "$data" --cache "$work/cache"
    done
done
for network in natural hardened; do
    "$PYTHON" benches/attacks.py single "$network" 500 "$data" "$work" >> "$work/peers.jsonl"
done
"$PYTHON" benches/attacks.py compare - 0 - "$work"
