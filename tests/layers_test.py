#!/usr/bin/env python3
"""Fails if a source includes a layer that stands above its own, or CUDA where CUDA must not be."""
import pathlib
import re
import sys

LAYERS = ["kernels", "runtime", "data", "nn", "models", "bench", "app"]
SOURCES = {".h", ".cpp", ".cuh", ".cu"}
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)
SIMT_DOOR = pathlib.Path("kernels/cuda/simt.cuh")
CUDA = re.compile(r"^(cuda|cublas|curand|nv_|cooperative_groups|cub/|thrust/)")


def sees_cuda(path):
    return path.parts[:2] == ("kernels", "cuda") or path.suffix == ".cu"


def violations(root):
    for layer in LAYERS:
        for path in sorted((root / layer).rglob("*")):
            if path.suffix not in SOURCES:
                continue
            name = path.relative_to(root)
            for include in INCLUDE.findall(path.read_text()):
                first = include.split("/")[0]
                if first in LAYERS and LAYERS.index(first) > LAYERS.index(layer):
                    yield f"{name} includes {include}: {layer} must not see {first}"
                if first in ("tests", "examples"):
                    yield f"{name} includes {include}"
                if CUDA.match(include) and not sees_cuda(name):
                    yield f"{name} includes {include}: only kernels/cuda and .cu files see CUDA"
                if (layer == "kernels" and include.startswith("kernels/simt/")
                        and name.parts[1] != "simt" and name != SIMT_DOOR):
                    yield f"{name} includes {include}: only {SIMT_DOOR} opens the host executor"


def main():
    root = pathlib.Path(sys.argv[1])
    found = list(violations(root))
    print("\n".join(found) or f"{len(LAYERS)} layers, no include points the wrong way")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
