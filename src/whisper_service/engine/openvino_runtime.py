"""The one place that imports OpenVINO, and how graphs are compiled and run with it.

Importing ``openvino`` sends a telemetry event over the network (``openvino.tools.ovc``, 2026.4).
Both modules that take part are therefore marked as absent before the first import; OpenVINO
then runs without its model converter, which this package does not use. Every other module
imports OpenVINO from here.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402
from openvino import Type as types  # noqa: E402, N813
from openvino import opset13 as ops  # noqa: E402

__all__ = [
    "Session",
    "core",
    "cpu_features",
    "has_bfloat16",
    "has_int8",
    "has_matrix_tiles",
    "openvino",
    "ops",
    "physical_cores",
    "release_free_memory",
    "shared_tensor",
    "types",
]

Array: TypeAlias = NDArray[Any]

SHAPE_CACHE = 20_000  # prepared primitives a graph keeps; the whole grid of shapes needs ~5,000


@cache
def core() -> Any:
    """Return the process's OpenVINO core; making one takes ~20 ms, so there is one."""
    return openvino.Core()


@cache
def _cpu_info() -> tuple[str, int]:
    """Feature flags of the CPU and the number of its physical cores, from the kernel."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor(), 0
    fields = [(k.strip(), v.strip()) for k, _, v in (r.partition(":") for r in text.splitlines())]
    flags = next((v for k, v in fields if k in ("flags", "Features")), platform.processor())
    ids = [v for k, v in fields if k in ("physical id", "core id")]
    return flags, len(set(zip(ids[::2], ids[1::2], strict=False)))


def cpu_features() -> str:
    """What the compiler may use: part of the key of a compiled graph."""
    return f"{platform.machine()} {_cpu_info()[0]}"


def physical_cores() -> int:
    """Cores this process may run on, hyper-threads not counted, at least one."""
    affinity = getattr(os, "sched_getaffinity", None)
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(available, _cpu_info()[1] or available, _cpu_quota() or available))


def _cpu_quota() -> int:
    """CPUs a container may use (control groups, version 2), 0 if not limited."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return 0 if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return 0


def has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 natively (AVX512_BF16 or AMX)."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def has_int8() -> bool:
    """Whether the CPU has dot products of 8-bit integers (VNNI)."""
    return "vnni" in _cpu_info()[0]


def has_matrix_tiles() -> bool:
    """Whether the CPU multiplies tiles of bfloat16 (AMX), ten times as fast as vectors."""
    return has_bfloat16() and "amx_bf16" in _cpu_info()[0]


def release_free_memory() -> None:
    """Give back what only loading and compiling needed, where that can be done (Linux, glibc).

    That is the C library's free memory, and the pages of OpenVINO's code: most of them compile
    graphs. A page that running needs is mapped again from the file at its next use.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    with suppress(OSError, AttributeError):
        libc.malloc_trim(0)
        for start, end in _code_of("libopenvino"):
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def _code_of(library: str) -> list[tuple[int, int]]:
    """Addresses of the code of loaded libraries: private mappings that nobody can have written."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    lines = [line.split() for line in maps.splitlines()]
    named = [f for f in lines if f[1] == "r-xp" and library in Path(f[-1]).name]
    return [(int(a, 16), int(b, 16)) for a, b in (f[0].split("-") for f in named)]


def shared_tensor(array: Array, kind: Any = None) -> Any:
    """Wrap a C-contiguous array as a tensor without a copy.

    ``kind`` reinterprets the bits, e.g. a float16 array as ``openvino.Type.bf16``: NumPy has no
    bfloat16, so such values travel as opaque 16-bit numbers.
    """
    if kind is None:
        return openvino.Tensor(array, shared_memory=True)
    return openvino.Tensor(array, list(array.shape), kind)


class Session:
    """Exclusive use of one infer request of a graph.

    Inputs stay set between runs, so a loop sets only what changes. ``start_async`` plus ``wait``
    costs 40 µs a run where ``infer`` of the Python binding costs 100 µs.
    """

    def __init__(self, request: Any, inputs: dict[str, int]) -> None:
        self._request = request
        self._inputs = inputs
        self._held: dict[str, Any] = {}  # tensors share the arrays' memory: keep both alive

    def set(self, name: str, array: Array, kind: Any = None) -> None:
        """Let input ``name`` read ``array`` (shared: later changes of the array are seen)."""
        tensor = shared_tensor(array, kind)
        self._held[name] = (array, tensor)
        self._request.set_input_tensor(self._inputs[name], tensor)

    def run(self) -> None:
        self._request.start_async()
        self._request.wait()

    def outputs_of(self, inputs: dict[str, Array], outputs: Sequence[int] = (0,)) -> list[Array]:
        """Set ``inputs``, run, and return views of ``outputs``, valid until the next run."""
        for name, array in inputs.items():
            self.set(name, array)
        self.run()
        return [self.output(i) for i in outputs]

    def fill(self, inputs: dict[str, Array], outputs: Sequence[Array], kind: Any = None) -> None:
        """Set ``inputs`` and run into arrays of the outputs' shapes, without a copy.

        The request keeps their addresses: do not mix with ``run`` in one graph.
        """
        tensors = [shared_tensor(array, kind) for array in outputs]
        for i, tensor in enumerate(tensors):
            self._request.set_output_tensor(i, tensor)
        self.outputs_of(inputs, ())

    def output(self, index: int) -> Array:
        """View of an output, valid until the next run."""
        result: Array = self._request.get_output_tensor(index).data
        return result
