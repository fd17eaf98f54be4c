"""Recordings shared among processes, each with a model of its own on one thread.

Ten hours of speech are as many recordings as one likes: they are heard side by side. What is heard
and decided is the same as in one process of one thread; how long it took is not, because the
processes share the caches and the memory of one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from whisper_service.engine.base import Engine
from whisper_service.engine.by_name import load_model
from whisper_service.evaluation import baselines
from whisper_service.evaluation.baselines import System, share_of
from whisper_service.evaluation.harness import Progress, SuiteResult, run_system
from whisper_service.evaluation.manifest import load_manifest
from whisper_service.evaluation.recording import Recording
from whisper_service.evaluation.store import RecordingStore
from whisper_service.evaluation.suites import Plan, Recordings, Suite

_engines: list[Engine] = []  # the one of this worker process


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Where recordings come from: a suite of a plan, or a folder with a manifest."""

    suite: Suite | None = None
    plan: Plan | None = None
    manifest: Path | None = None

    @property
    def name(self) -> str:
        return self.suite or "manifest"

    def recordings(self) -> Sequence[Recording]:
        """All of them, each made or read when asked for."""
        if self.suite is not None and self.plan is not None:
            return Recordings(self.suite, self.plan, store=RecordingStore())
        if self.manifest is None:
            raise ValueError("a corpus needs a suite with its plan, or a manifest")
        return list(load_manifest(self.manifest))


class Workers:
    """Processes that run systems of :mod:`whisper_service.evaluation.baselines`."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run(
        self,
        corpus: Corpus,
        recordings: Sequence[Recording],
        system: System,
        *,
        pictures: int = 2,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> SuiteResult:
        """As :func:`whisper_service.evaluation.harness.run_system`, in their order.

        ``recordings`` are those of ``corpus``; each process makes or reads its own.
        """
        short = system.most < float("inf")
        count = sum(1 for _ in share_of(recordings, system)) if short else len(recordings)
        one = partial(_run_one, corpus, system.name, pictures)
        total = SuiteResult(system=system.name, suite=corpus.name)
        for found in self._pool.map(one, range(count)):
            total.tally.add(found.tally)
            total.timelines += found.timelines
            progress(
                Progress(
                    recordings=total.tally.recordings,
                    samples=total.tally.samples,
                    newest=found.newest,
                    false_switches=total.tally.false_switches,
                )
            )
        return total


@contextmanager
def workers(count: int, **model: Any) -> Iterator[Workers]:
    """``count`` processes; ``model`` is given to ``engine.by_name.load_model`` in each."""
    context = get_context("spawn")  # a fork would copy a runtime's threads as they stand
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_load, initargs=(model,))
    try:
        yield Workers(pool)
    finally:
        pool.shutdown(cancel_futures=True)


def _load(model: dict[str, Any]) -> None:
    _engines.append(load_model(model.pop("name"), **model))


@cache  # a manifest is read once by each process
def _recordings(corpus: Corpus) -> Sequence[Recording]:
    return corpus.recordings()


def _run_one(corpus: Corpus, system: str, pictures: int, number: int) -> SuiteResult:
    recording = _recordings(corpus)[number]
    pictures = int(number < pictures)
    return run_system(_engines[0], baselines.by_name(system), [recording], pictures=pictures)
