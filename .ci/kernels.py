"""Compiles every kernel for GPUs with NVRTC: to PTX for sm_80 and sm_90, and to machine code to see what it takes there.

    python kernels.py network/src/device/cuda

NVRTC is the library that is installed beside the interpreter (the package `nvidia-cuda-nvrtc`). No GPU is needed. Fails where a file does not
compile or warns, where a kernel is missing, and where a block's shared memory does not fit.
"""

import ctypes
import pathlib
import re
import sys

ARCHITECTURES = ("80", "90")
# What the device compiles with; compared with its source.
OPTIONS = ("--fmad=false", "--std=c++17")
# Bytes of shared memory that a block has on every GPU without asking for more.
SHARED = 48 << 10


def library():
    """NVRTC as its package installs it."""
    here = pathlib.Path(sys.prefix) / "lib"
    # It looks for this one by name, and finds it if it is there already.
    for name in ("libnvrtc-builtins.so.*", "libnvrtc.so.*"):
        path = sorted(path for path in here.glob(f"python3*/site-packages/nvidia/*/lib/{name}") if "alt" not in path.name)
        loaded = ctypes.CDLL(str(path[0]), mode=ctypes.RTLD_GLOBAL)
    return loaded


def compiled(nvrtc, source, options):
    """The log of a compilation and its PTX (none where machine code was made)."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"duress.cu", 0, None, None))
    arguments = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    status = nvrtc.nvrtcCompileProgram(program, len(options), arguments)
    check(nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size)))
    log = ctypes.create_string_buffer(size.value)
    check(nvrtc.nvrtcGetProgramLog(program, log))
    if status != 0:
        sys.exit(log.value.decode())
    check(nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size)))
    ptx = ctypes.create_string_buffer(size.value)
    check(nvrtc.nvrtcGetPTX(program, ptx))
    check(nvrtc.nvrtcDestroyProgram(ctypes.byref(program)))
    return log.value.decode(), ptx.value.decode(errors="replace")


def check(status):
    if status != 0:
        sys.exit(f"NVRTC says {status}")


def main():
    folder = pathlib.Path(sys.argv[1])
    list_of_files = (folder / "kernels.rs").read_text()
    files = re.findall(r'\("(\S+)", include_str', list_of_files)
    listed = set(re.findall(r'^    \w+ "(\w+)" (?:true|false);$', list_of_files, re.M))
    driver = (folder / "nvidia.rs").read_text()
    if not all(f'"{option}"' in driver for option in OPTIONS):
        sys.exit("nvidia.rs compiles with other options than this")
    texts = {name: (folder / "kernels" / name).read_text() for name in files}
    head = "".join(text for name, text in texts.items() if name.endswith(".cuh"))
    nvrtc = library()
    major, minor = ctypes.c_int(), ctypes.c_int()
    check(nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    print(f"NVRTC {major.value}.{minor.value}, {' '.join(OPTIONS)}")
    found = set()
    for name in (name for name in files if name.endswith(".cu")):
        before = "" if name == "elementwise.cu" else texts["elementwise.cu"]
        for architecture in ARCHITECTURES:
            log, ptx = compiled(nvrtc, head + before + texts[name], [*OPTIONS, f"--gpu-architecture=compute_{architecture}"])
            entries = set(re.findall(r"\.visible \.entry duress_(\w+)\(", ptx))
            if log.strip() or not entries:
                sys.exit(f"{name} for sm_{architecture}: {log or 'no kernel'}")
            found |= entries
        print(f"{name}: compiled for {' and '.join(f'sm_{a}' for a in ARCHITECTURES)}")
    if found != listed:
        sys.exit(f"listed and compiled kernels differ: {sorted(found ^ listed)}")
    for architecture in ARCHITECTURES:
        options = [*OPTIONS, f"--gpu-architecture=sm_{architecture}", "--ptxas-options=-v"]
        log, _ = compiled(nvrtc, "".join(texts.values()), options)
        takes = re.findall(r"Compiling entry function 'duress_(\w+)'.*?Used (\d+) registers([^\n]*)", log, re.S)
        if {kernel for kernel, *_ in takes} != listed:
            sys.exit(f"sm_{architecture}: the log names other kernels than there are")
        shared = {kernel: int((re.search(r"(\d+) bytes smem", rest) or [0, 0])[1]) for kernel, _, rest in takes}
        most = max(shared, key=shared.get)
        if shared[most] > SHARED:
            sys.exit(f"{most} takes {shared[most]} bytes of shared memory for sm_{architecture}; a block has {SHARED}")
        registers = max(takes, key=lambda kernel: int(kernel[1]))
        print(
            f"sm_{architecture}: {len(takes)} kernels, at most {registers[1]} registers ({registers[0]}) and "
            f"{shared[most]} bytes of shared memory ({most})"
        )


main()
