"""First measure, then choose: which encoding hears a change of language soonest and best?

    .venv/bin/python benchmarks/span_variants.py [--count 60] [--split dev] [--json]

Recordings of two sentences in two languages, same voice, with no pause and with one of 0.25 s
(one utterance) and 1 s (two utterances). Three kinds of evidence: the span of the window's shared
encoding, the span encoded alone, and shared unless doubtful; the first two also with the span cut
at the true change point, which is the best that a mask at the candidate point could do.
"""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import replace

import numpy as np
from common import provenance, recordings_parser, report, table

from whisper_service.config import LanguageOptions, StreamOptions
from whisper_service.engine.by_name import load_model
from whisper_service.evaluation.corpus import LANGUAGES, make_switched
from whisper_service.evaluation.posteriors import (
    EVIDENCE,
    HeardUtterance,
    PosteriorRecorder,
    accuracy,
    replay_language,
)
from whisper_service.evaluation.replay import replay
from whisper_service.evaluation.switching import Stretch
from whisper_service.types import to_samples

DELAYS = [round(0.3 + 0.1 * i, 1) for i in range(13)]  # s from the change to the span's end
PAUSES = (0.0, 0.25, 1.0)


def main() -> None:
    parser = recordings_parser("Which encoding hears a change of language soonest?", count=60)
    parser.add_argument("--no-pipeline", action="store_true", help="leave out the whole pipeline")
    arguments = parser.parse_args()
    count, split = arguments.count, arguments.split
    engine = load_model(arguments.model, threads=1)
    options = LanguageOptions(policy="code_switch", languages=LANGUAGES)
    recorder = PosteriorRecorder(engine)
    clips = [(p, *clip(p, seed, split)) for p in PAUSES for seed in range(count)]
    heard = [(p, recorder.record(samples, truth)) for p, samples, truth in clips]
    data: dict[str, object] = {}
    curve = curves([u for p, us in heard if p < 0.5 for u in us], engine.languages, options.doubt)
    data["accuracy_since_change"] = curve
    body = [
        "Accuracy against time since the change, no pause or 0.25 s:\n\n"
        + table(
            [[name, *(f"{100 * a:.0f}" for a in row)] for name, row in curve.items()],
            ["evidence, % right at s", *map(str, DELAYS)],
        )
    ]
    steady = steady_accuracy(heard, engine.languages, options.doubt)
    rows = []
    for kind in EVIDENCE:
        found = lags(heard, engine, replace(options, evidence=kind))
        data[f"following {kind}"] = {"steady": steady[kind], **found}
        rows.append([kind, f"{100 * steady[kind]:.1f}", *found.values()])
    body.append(
        "Steady speech (one language so far), and following the language on these frames "
        "(s heard, update by update; computing not counted):\n\n"
        + table(rows, ["evidence", "% right, steady", *found])
    )
    cost = {kind: recorder.cost.milliseconds(kind) for kind in ("shared", "own")}
    data["ms_per_encoding"] = cost
    body.append(
        f"One encoding, one thread: the window {cost['shared']:.2f} ms (it serves every span that "
        f"ends in it, and the decoder), a span of 0.3-1 s alone {cost['own']:.2f} ms in a batch."
    )
    if not arguments.no_pipeline:
        rows = [pipeline(engine, clips, kind) for kind in EVIDENCE]
        data["pipeline"] = rows
        body.append("The whole pipeline:\n\n" + table([r.values() for r in rows], rows[0]))
    facts = provenance(model=engine.name, clips=f"{len(clips)}, {split} split")
    report("LID evidence at a change of language", facts, "\n\n".join(body), data)


def clip(pause: float, seed: int, split: str) -> tuple[np.ndarray, list[Stretch]]:
    rng = random.Random(seed)
    made = make_switched(rng.sample(LANGUAGES, 2), [pause], split=split, seed=seed)
    return made.samples, stretches(made)


def stretches(made) -> list[Stretch]:
    first, second = (lang for lang, _ in made.sentences)
    at = made.switches[0][2]
    before = [w for w in made.words if w.language == first]
    after = [w for w in made.words if w.language == second]
    return [
        Stretch(start=before[0].start, end=max(w.end for w in before), language=first),
        Stretch(start=at, end=max(w.end for w in after), language=second),
    ]


def shown(utterance: HeardUtterance, hop: int, kind: str, doubt: float) -> np.ndarray:
    """What a stream with this kind of evidence makes of the last second before ``hop``."""
    shared = utterance.heard("shared", hop, to_samples(1.0))
    if kind == "own" or (kind == "checked" and shared.max() < doubt):
        return utterance.heard("own", hop, to_samples(1.0))
    return shared


def curves(utterances: list[HeardUtterance], languages, doubt: float) -> dict[str, list[float]]:
    """Share of spans right, by the time from the change to the span's end."""

    def row(take) -> list[float]:
        result = []
        for delay in DELAYS:
            rows, truths = [], []
            for u in utterances:
                for hop in u.hops:
                    language, since = u.language_since(hop - 1)
                    late = abs(hop - since - to_samples(delay)) > to_samples(0.05)
                    if since != u.start and not late:
                        rows.append(take(u, hop, hop - since))
                        truths.append(language)
            result.append(accuracy(rows, truths, languages))
        return result

    result = {k: row(lambda u, hop, _, k=k: shown(u, hop, k, doubt)) for k in EVIDENCE}
    result["shared, span cut at the change"] = row(lambda u, h, n: u.heard("shared", h, n))
    result["own, cut at the change"] = row(lambda u, h, n: u.heard("own", h, n))
    return result


def steady_accuracy(heard, languages, doubt: float) -> dict[str, float]:
    steady = [
        (u, hop)
        for _, us in heard
        for u in us
        for hop in u.hops
        if u.language_since(hop)[1] == u.start
    ]
    truths = [u.truth[0].language for u, _ in steady]
    return {
        k: accuracy([shown(u, hop, k, doubt) for u, hop in steady], truths, languages)
        for k in EVIDENCE
    }


def lags(heard, engine, options: LanguageOptions) -> dict[str, str]:
    found = {}
    for pause in PAUSES:
        times, misses, false = [], 0, 0
        for p, utterances in heard:
            if p != pause:
                continue
            changes = replay_language(engine, utterances, options)
            last = utterances[-1]
            at, new = last.changes[0] if last.changes else (last.start, last.truth[0].language)
            right = [c for c in changes if c.change.new == new and c.at >= at]
            false += len(changes) - bool(right)
            misses += not right
            times += [(c.at - at) / 16000 for c in right[:1]]
        p95 = float(np.percentile(times, 95)) if times else float("nan")
        median = statistics.median(times) if times else float("nan")
        name = f"pause {pause}: median/p95, missed, false"
        found[name] = f"{median:.2f}/{p95:.2f}, {misses}, {false}"
    return found


def pipeline(engine, clips, kind: str) -> dict[str, object]:
    language = LanguageOptions(policy="code_switch", languages=LANGUAGES, evidence=kind)
    options = StreamOptions(mode="fast", language=language)
    times, unaware, errors, missed, false, hits, needs = [], [], [], 0, 0, 0, 0
    passes = encoded = seconds = cpu = 0.0
    for pause, samples, truth in clips:
        if pause == 0.25:
            continue
        began = time.process_time()
        run = replay(engine, samples, options)
        cpu += time.process_time() - began
        decisions = run.switches()
        right = [
            (e, t) for e, t in decisions if e.new == truth[1].language and t.heard >= truth[1].start
        ]
        false += len(decisions) - bool(right)
        missed += not right
        if right:
            event, timed = right[0]
            times.append((timed.available - truth[1].start) / 16000)
            unaware.append((timed.heard - truth[1].start) / 16000)
            errors.append(abs(event.at - truth[1].start) / 16)
        statistics_ = run.transcript.statistics
        cache = statistics_["encoder_cache"]
        hits += cache["hits"]
        needs += cache["hits"] + cache["misses"]
        passes += statistics_["encoder_passes"]
        encoded += statistics_["encoded_seconds"]
        seconds += len(samples) / 16000
    q = lambda v, p: f"{np.percentile(v, p):.2f}"  # noqa: E731
    return {
        "evidence": kind,
        "lag p50/p95 heard": f"{q(unaware, 50)}/{q(unaware, 95)}",
        "with compute": f"{q(times, 50)}/{q(times, 95)}",
        "missed": missed,
        "false": false,
        "change point ms p50/p95": "/".join(f"{np.percentile(errors, p):.0f}" for p in (50, 95)),
        "cache hits": f"{100 * hits / max(1, needs):.0f} %",
        "passes/s": f"{passes / seconds:.1f}",
        "encoded s/s": f"{encoded / seconds:.1f}",
        "CPU s/s": f"{cpu / seconds:.3f}",
    }


if __name__ == "__main__":
    main()
