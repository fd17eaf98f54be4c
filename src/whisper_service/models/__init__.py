"""Checkpoints: which there are, where they lie, what is in them.

The catalogue and the store are here; reading a checkpoint is ``models.checkpoint``, writing one
``models.export``.
"""

from whisper_service.models.catalog import CATALOG, ModelEntry, lookup, similar
from whisper_service.models.store import (
    FileCheck,
    LocalModel,
    fetch,
    find,
    list_models,
    remove,
    resolve,
    verify,
)

__all__ = [
    "CATALOG",
    "FileCheck",
    "LocalModel",
    "ModelEntry",
    "fetch",
    "find",
    "list_models",
    "lookup",
    "remove",
    "resolve",
    "similar",
    "verify",
]
