"""Compares exported networks with what other programs make of them: ONNX files with the onnx checker and ONNX Runtime,
safetensors and NPZ with their own readers.

    pip install numpy onnx onnxruntime safetensors
    cargo test --release -p duress-network --test exports
    python network/tests/check_exports.py target/tmp/exports
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

worst = 0.0
paths = sorted(Path(sys.argv[1]).glob("*.onnx"))
for path in paths:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    expected = np.load(path.with_suffix(".outputs.npz"))
    session = onnxruntime.InferenceSession(path)
    found = session.run(None, {session.get_inputs()[0].name: expected["images"]})[0]
    assert found.shape == expected["outputs"].shape, (path.name, found.shape, expected["outputs"].shape)
    scale = max(1.0, np.abs(expected["outputs"]).max())
    difference = np.abs(found - expected["outputs"]).max() / scale
    arrays, tensors = np.load(path.with_suffix(".npz")), load_file(path.with_suffix(".safetensors"))
    assert set(arrays) == set(tensors) and all(np.array_equal(arrays[name], tensors[name]) for name in tensors)
    print(f"{path.name}: {len(tensors)} tensors, largest difference {difference:.1e}")
    worst = max(worst, difference)
assert paths and worst < 1e-4, worst
