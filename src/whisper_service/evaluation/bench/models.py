"""The models that the benchmarks run: the demo model and random weights of the published sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from whisper_service.engine.load import ComputeType, load_engine
from whisper_service.engine.openvino import OpenVinoEngine
from whisper_service.errors import InvalidOptionError
from whisper_service.evaluation.bench.sizes import Size, random_checkpoint
from whisper_service.models.store import DEMO_FOLDER

ModelName: TypeAlias = Literal["demo", "tiny-size", "base-size"]
Context: TypeAlias = Literal["dynamic", "stock"]

MODELS: tuple[ModelName, ...] = get_args(ModelName)
CONTEXTS: tuple[Context, ...] = get_args(Context)


@dataclass(frozen=True, slots=True)
class Subject:
    """One model in one of the two regimes of the encoder's input."""

    model: ModelName
    context: Context

    def __str__(self) -> str:
        return f"{self.model}, {'real length' if self.context == 'dynamic' else '30 s (stock)'}"

    @property
    def random(self) -> bool:
        """Random weights: its workload is fixed, what it says means nothing."""
        return self.model != "demo"

    def load(self, compute_type: ComputeType = "auto") -> OpenVinoEngine:
        """Load it; graphs come from the user's cache after the first time."""
        return load_engine(
            folder(self.model),
            name=self.model,
            compute_type=compute_type,
            context="auto" if self.context == "dynamic" else "full",
        )


def folder(model: ModelName) -> Path:
    """Where the checkpoint lies; random ones are written on first use."""
    if model == "demo":
        return DEMO_FOLDER
    size: Size = "tiny" if model == "tiny-size" else "base"
    return random_checkpoint(size)


def model_names(names: list[str]) -> tuple[ModelName, ...]:
    """Check names as a user gives them; all models when there are none."""
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise InvalidOptionError(f"no benchmark model {unknown[0]!r}; choose {', '.join(MODELS)}")
    return tuple(name for name in MODELS if name in names) if names else MODELS
