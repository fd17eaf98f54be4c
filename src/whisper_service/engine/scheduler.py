"""The threads behind the synchronous core: work that runs beside the caller's."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache


@cache
def executor() -> ThreadPoolExecutor:
    """Return the process's one executor for engine calls; its threads start on first use.

    One thread per core: an engine call keeps its cores busy, so more would only take turns.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return ThreadPoolExecutor(cores, thread_name_prefix="whisper-service")
