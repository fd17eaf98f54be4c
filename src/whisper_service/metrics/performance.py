"""Timers for the hot path: what one step costs, in milliseconds.

A measurement appends one number to a list. Everything else (the ring of the last samples, sums,
the sketch of the whole run) is brought up to date for 1024 measurements together, or when somebody
asks. List appends, pops and slice deletions are atomic in CPython, so measuring takes no lock.

Two more things keep a measurement cheap: a ``with`` statement enters through a callable written in
C, and the clock is read as a float, which CPython subtracts and compares faster than an integer
beyond 2**30.
"""

from __future__ import annotations

import logging
import math
import threading
from contextlib import suppress
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING

from whisper_service.errors import InvalidOptionError
from whisper_service.metrics.sketch import BATCH
from whisper_service.metrics.stage import PERCENTILES, Stage

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

MS = 1e3  # in a second


class Timer:
    """One running measurement, a context manager; :meth:`PerformanceMetrics.measure` starts it.

    Timers are recycled when they end, so each serves a single ``with`` statement.
    """

    __slots__ = ("_free", "_pending", "_stage", "started")

    # Entering has nothing to do, and `tuple()` does nothing faster than a function written in
    # Python. A type is no descriptor, so the timer is not passed to it.
    __enter__ = tuple

    def __init__(self, stage: Stage, free: list[Timer]) -> None:
        self._stage = stage
        self._pending = stage.pending
        self._free = free
        self.started = 0.0  # s, on the clock of perf_counter

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        now = perf_counter()
        pending = self._pending
        pending.append((now - self.started) * MS)
        self._free.append(self)
        if len(pending) >= BATCH or now >= self._stage.log_at:
            self._stage.tend(now)


class _Off:
    """What ``measure`` returns while metrics are switched off.

    Both callables are written in C, as in ``Timer``; the second takes any three arguments and
    returns "", which is false, so errors pass.
    """

    __slots__ = ()
    __enter__ = tuple
    __exit__ = "".format


_OFF = _Off()


class Token:
    """A timer started by hand; it ends once, in any thread."""

    __slots__ = ("counted", "name", "started", "thread")

    def __init__(self, name: str, *, counted: bool) -> None:
        self.name = name
        self.counted = counted  # whether metrics were switched on at its start
        self.thread = threading.get_ident()
        self.started = perf_counter()


class PerformanceMetrics:
    """Durations of named operations, from any number of threads.

    ``count``, ``mean``, ``min`` and ``max`` are of the whole run. ``p50``, ``p95`` and ``p99`` are
    exact over the last ``max_samples`` measurements of an operation, or, for the whole run, within
    1 % (:mod:`whisper_service.metrics.sketch`). Names should be few and constant: each keeps about
    ``8 * max_samples`` bytes.

    ``enabled`` may be changed at any time. Raises ``InvalidOptionError`` for a ``max_samples``
    below 1.
    """

    def __init__(self, max_samples: int = 1000, enabled: bool = True) -> None:
        if max_samples < 1:
            raise InvalidOptionError(f"max_samples is {max_samples}; give at least 1")
        self.max_samples = max_samples
        self.enabled = enabled
        self._lock = threading.Lock()
        self._stages: dict[str, Stage] = {}
        self._free: dict[str, list[Timer]] = {}
        self._tokens: dict[tuple[str, int], list[Token]] = {}
        self._log_every = 0.0  # s
        self._log_at = math.inf  # s, on the clock of perf_counter
        self._logger = logging.getLogger(__name__)

    def measure(self, name: str) -> Timer | _Off:
        """Time the body of a ``with`` statement, also when it raises or measures again.

        Time runs from this call on.
        """
        if not self.enabled:
            return _OFF
        try:
            timer = self._free[name].pop()
        except (KeyError, IndexError):
            timer = self._new_timer(name)
        timer.started = perf_counter()
        return timer

    def start_timer(self, name: str) -> Token:
        """Start timing ``name``; end it with :meth:`stop_timer`."""
        token = Token(name, counted=self.enabled)
        if token.counted:
            with self._lock:
                self._tokens.setdefault((name, token.thread), []).append(token)
        return token

    def stop_timer(self, name_or_token: str | Token) -> float:
        """End a timer and return its milliseconds.

        0.0 while metrics are switched off, or if they were when it was started. A name means the
        newest timer of that name started by this thread. Raises ``InvalidOptionError`` when no such
        timer is running.
        """
        now = perf_counter()
        if isinstance(name_or_token, Token) and not name_or_token.counted:
            return 0.0
        if not self.enabled:
            with suppress(InvalidOptionError):
                self._take(name_or_token)
            return 0.0
        token = self._take(name_or_token)
        elapsed = (now - token.started) * MS
        self._add(token.name, elapsed, now=now)
        return elapsed

    def record(self, name: str, ms: float) -> None:
        """Add a duration measured elsewhere.

        Raises ``InvalidOptionError`` when ``ms`` is negative or not finite.
        """
        if not (0.0 <= ms < math.inf):
            raise InvalidOptionError(f"a duration of {ms} ms for {name!r} is not one: give ms >= 0")
        if self.enabled:
            self._add(name, float(ms), now=perf_counter())

    def get_statistics(self, *, whole_run: bool = False) -> dict[str, dict[str, float]]:
        """``{name: {count, mean, min, max, p50, p95, p99}}`` in milliseconds, by name.

        Plain numbers, ready for ``json.dumps``. With ``whole_run`` the percentiles are of all
        measurements (within 1 %) and not of the last ``max_samples``.
        """
        return {
            name: stage.statistics(whole_run=whole_run)
            for name, stage in self._snapshot()
            if stage.count
        }

    def get_summary(self) -> str:
        """Lay out a table for a person, one operation a line, times in milliseconds."""
        measured = self.get_statistics()
        if not measured:
            return "Nothing has been measured yet."
        width = max(len("operation"), *(len(name) for name in measured))
        columns = ("mean", "p50", "p95", "p99", "min", "max")
        head = f"{'operation':<{width}} {'count':>9}" + "".join(f"{c:>11}" for c in columns)
        lines = [f"{head}   (ms)", "-" * len(head)]
        for name, row in measured.items():
            times = "".join(f"{row[c]:>11.3f}" for c in columns)
            lines.append(f"{name:<{width}} {row['count']:>9.0f}{times}")
        return "\n".join(lines)

    def prometheus_families(self) -> list[Metric]:
        """Build what :meth:`export_prometheus` renders, to be joined with other families."""
        from whisper_service.metrics.prometheus import SummaryRow, summary  # slow to import

        rows = [
            SummaryRow(
                labels={"stage": name},
                quantiles={p / 100: row[f"p{p}"] / 1000 for p in PERCENTILES},
                count=int(row["count"]),
                sum=row["mean"] * row["count"] / 1000,
            )
            for name, row in self.get_statistics().items()
        ]
        text = f"Time spent in a stage; quantiles of the last {self.max_samples} runs."
        return [summary("stage_duration_seconds", text, rows)]

    def export_prometheus(self) -> str:
        """All durations in the Prometheus text format, in seconds, the operation as a label."""
        from whisper_service.metrics.prometheus import render  # slow to import

        return render(self.prometheus_families())

    def merge(self, other: PerformanceMetrics) -> None:
        """Take in everything ``other`` has measured, as if it had been measured here.

        Percentiles are of the union of samples; the look-back grows where both need the room.
        """
        for name, stage in other._snapshot():
            self._stage(name).merge(stage)

    def reset(self) -> None:
        """Forget all measurements; timers that still run are not recorded."""
        with self._lock:
            self._stages = {}
            self._free = {}
            self._tokens = {}

    def log_every(self, seconds: float, logger: logging.Logger | None = None) -> None:
        """Write :meth:`get_summary` at level INFO every ``seconds``; 0 ends it.

        The first measurement that ends after the interval writes, so an idle program is silent and
        no thread is needed. Raises ``InvalidOptionError`` when ``seconds`` is negative or not
        finite.
        """
        if not (0.0 <= seconds < math.inf):
            raise InvalidOptionError(f"cannot log every {seconds} s: give a positive number, or 0")
        self._log_every = float(seconds)
        self._logger = logger or self._logger
        with self._lock:
            self._set_log_at(perf_counter() + self._log_every if seconds else math.inf)

    def _new_timer(self, name: str) -> Timer:
        with self._lock:
            free = self._free.setdefault(name, [])
        return Timer(self._stage(name), free)  # after a reset in between, a stage that lives

    def _stage(self, name: str) -> Stage:
        with self._lock:
            if name not in self._stages:
                stage = Stage(self.max_samples, self._log)
                stage.log_at = self._log_at
                self._stages[name] = stage
            return self._stages[name]

    def _snapshot(self) -> list[tuple[str, Stage]]:
        with self._lock:
            stages = sorted(self._stages.items())
        for _, stage in stages:
            stage.drain()
        return stages

    def _add(self, name: str, ms: float, *, now: float) -> None:
        stage = self._stage(name)
        stage.pending.append(ms)
        if len(stage.pending) >= BATCH or now >= stage.log_at:
            stage.tend(now)

    def _take(self, name_or_token: str | Token) -> Token:
        by_name = isinstance(name_or_token, str)
        key = (
            (name_or_token, threading.get_ident())
            if isinstance(name_or_token, str)
            else (name_or_token.name, name_or_token.thread)
        )
        with self._lock:
            running = self._tokens.get(key, [])
            if by_name and running:
                return running.pop()
            if isinstance(name_or_token, Token) and name_or_token in running:
                running.remove(name_or_token)
                return name_or_token
        raise InvalidOptionError(
            f"no timer {key[0]!r} is running here; call start_timer({key[0]!r}) before stop_timer"
        )

    def _log(self, now: float) -> None:
        with self._lock:
            if now < self._log_at:
                return  # another thread has just written
            self._set_log_at(now + self._log_every)
        self._logger.info("%s", self.get_summary())

    def _set_log_at(self, at: float) -> None:
        self._log_at = at
        for stage in self._stages.values():
            stage.log_at = at
