#!/usr/bin/env bash
# Builds a CUDA driver that is none (fake_driver.cpp) into a folder, as libcuda.so.1.
#     bash .ci/fake_driver.sh target/fake-driver
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
sed -nE 's|^    \("[^"]+", include_str!\(("kernels/[^"]+")\)\),$|#include \1|p' network/src/device/cuda/kernels.rs > "$1/sources.h"
sed -nE 's/^    [A-Za-z]+ "(\w+)" (true|false);$/LISTED(\1, \2)/p' network/src/device/cuda/kernels.rs > "$1/listed.h"
c++ -std=c++17 -O2 -ffp-contract=off -fno-strict-aliasing -fPIC -shared -w -march=native \
  -I network/src/device/cuda -I "$1" -o "$1/libcuda.so.1" .ci/fake_driver.cpp
