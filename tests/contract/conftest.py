"""Checkpoints, engines and references, each made once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from checkpoints import LAYOUTS, REAL_SIZES, build
from goldens import DEMO
from reference import ReferenceWhisper
from whisper_service.engine.load import ComputeType, load_engine
from whisper_service.engine.openvino import OpenVinoEngine


@pytest.fixture(scope="session")
def checkpoint_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny checkpoint by its layout's name, or of the demo model."""

    @cache
    def folder(name: str) -> Path:
        if name == "demo":
            return DEMO
        return build((LAYOUTS | REAL_SIZES)[name], tmp_path_factory.mktemp("models") / name)

    return folder


@pytest.fixture(scope="session")
def reference_of(checkpoint_of: Callable[[str], Path]) -> Callable[[str], ReferenceWhisper]:
    """The NumPy reference of a checkpoint."""
    return cache(lambda name: ReferenceWhisper(checkpoint_of(name)))


@pytest.fixture(scope="session")
def engine_of(
    checkpoint_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., OpenVinoEngine]:
    """The real engine of a checkpoint, ``engine_of(name, compute_type)``, float32 by default."""
    blobs = tmp_path_factory.mktemp("blobs")

    @cache
    def load(name: str, compute_type: ComputeType = "float32") -> OpenVinoEngine:
        folder = checkpoint_of(name)
        return load_engine(folder, name=name, compute_type=compute_type, cache_dir=blobs)

    return load
