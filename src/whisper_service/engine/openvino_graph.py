"""A compiled graph with its infer requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import numpy as np

from whisper_service.engine.openvino_cache import Compiled
from whisper_service.engine.openvino_runtime import Array, Session


class Graph:
    """A compiled model with one infer request for each worker."""

    def __init__(self, compiled: Compiled, *, workers: int) -> None:
        self._compiled = compiled
        model = compiled.model
        names = {port.get_any_name(): i for i, port in enumerate(model.inputs)}
        self._free: SimpleQueue[Session] = SimpleQueue()
        for _ in range(workers):
            self._free.put(Session(model.create_infer_request(), names))

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Borrow a request; waits while all workers are busy."""
        session = self._free.get()
        try:
            yield session
        finally:
            self._free.put(session)

    def run(self, inputs: dict[str, Array], outputs: Sequence[int] = (0,)) -> list[Array]:
        """Run once and return copies of the ``outputs``."""
        with self.session() as session:
            return [output.copy() for output in session.outputs_of(inputs, outputs)]

    def fill(self, inputs: dict[str, Array], outputs: Sequence[Array], kind: Any = None) -> None:
        """Run once, every output into an array of its shape; ``kind``: as in ``shared_tensor``."""
        with self.session() as session:
            session.fill(inputs, outputs, kind)

    def release_pages(self) -> None:
        """Give back the memory of a stored graph's file; see ``Compiled.release_pages``."""
        self._compiled.release_pages()

    @property
    def weight_bytes(self) -> int:
        """Bytes of constants in the compiled graph, in the precision they are kept in."""
        return sum(
            int(np.prod(op.get_output_shape(0))) * op.get_output_element_type(0).bitwidth // 8
            for op in self._compiled.model.get_runtime_model().get_ops()
            if _is_constant(op)
        )


def _is_constant(op: Any) -> bool:
    info = op.get_rt_info()
    return "layerType" in info and info["layerType"].astype(str) == "Const"
