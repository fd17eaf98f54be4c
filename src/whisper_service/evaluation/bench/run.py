"""``whisper-service bench``: everything in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from whisper_service.evaluation.bench.compare import against_the_old_way
from whisper_service.evaluation.bench.language import language_identification
from whisper_service.evaluation.bench.measuring import Progress, Section, provenance
from whisper_service.evaluation.bench.memory import memory
from whisper_service.evaluation.bench.micro import micro
from whisper_service.evaluation.bench.models import CONTEXTS, MODELS, ModelName, Subject
from whisper_service.evaluation.bench.pipeline import added_lid, pipeline
from whisper_service.evaluation.bench.precision import precision
from whisper_service.evaluation.bench.report import Report
from whisper_service.evaluation.bench.workload import bundled_clip, continuous

OLD_WAY_SECONDS = 8.0  # of speech; the old way takes longer than the speech itself
QUICK_SECONDS = 6.0  # of the clip in a quick run


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What to measure; ``quick`` takes fewer blocks and shorter clips."""

    models: Sequence[ModelName] = MODELS
    quick: bool = False
    parts: bool = True  # the parts alone
    whole: bool = True  # the pipeline, memory, compute types


def bench(options: BenchOptions, progress: Progress) -> Report:
    """Run everything asked for; ``progress`` is told each step."""
    progress("machine")
    facts = provenance(models=", ".join(options.models), run="quick" if options.quick else "full")
    sections: list[Section] = []
    if options.parts:
        sections += micro(quick=options.quick, progress=progress)
    if options.whole:
        for model in options.models:
            sections += _model(model, quick=options.quick, progress=progress)
        sections.append(precision(tuple(options.models), quick=options.quick, progress=progress))
        progress("memory, in fresh processes")
        sections.append(memory(quick=options.quick))
    return Report(facts=facts, sections=sections)


def steps(options: BenchOptions) -> int:
    """How many steps ``progress`` will be told."""
    per_model = 1 if options.quick else 2
    whole = len(options.models) * (per_model + 2 + 1) + ("demo" in options.models) + 1
    return 1 + 6 * options.parts + whole * options.whole


def _model(model: ModelName, *, quick: bool, progress: Progress) -> list[Section]:
    clip = bundled_clip()
    clip = clip.cut(QUICK_SECONDS) if quick else clip
    sections = []
    for context in CONTEXTS[:1] if quick else CONTEXTS:
        subject = Subject(model, context)
        progress(f"pipeline: {subject}")
        engine = subject.load()
        section = pipeline(subject, engine, clip, repeat=1 if quick else 3)
        if context == "dynamic":
            lid = {"added_lid_ms": added_lid(engine, clip, fixed=subject.random)}
            section = replace(section, data={**section.data, **lid})
        sections.append(section)
    subject = Subject(model, "dynamic")
    engine = subject.load()
    progress(f"batch and parallel LID: {model}")
    speech = continuous(clip).cut(QUICK_SECONDS)
    sections.append(language_identification(subject, engine, speech, blocks=2 if quick else 5))
    progress(f"against the old way: {model}")
    length = 2.0 if quick else OLD_WAY_SECONDS
    sections.append(against_the_old_way(subject, engine, continuous(clip).cut(length)))
    return sections
