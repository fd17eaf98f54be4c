"""Does what else is in a batch, or the compute type, change what is written?

    .venv/bin/python benchmarks/agreement.py [--clips 200] [--split dev] [--batch 8]

Decodes ``--clips`` clips of each language one by one and in batches of unequal lengths, with every
compute type: how many utterances come out the same, token by token, and how many words are wrong.
Design 3 asks for all of them in float32 and 99.5 % of them, with 0.1 points of WER, in the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from common import provenance, report, table

from whisper_service.engine.base import DecodeRequest, Encoded, Engine
from whisper_service.engine.by_name import load_model
from whisper_service.engine.load import ComputeType
from whisper_service.evaluation.corpus import Clip, make_split
from whisper_service.evaluation.wer import Errors, errors
from whisper_service.features import log_mel
from whisper_service.policy.guards import token_budget

COMPUTE_TYPES: tuple[ComputeType, ...] = ("float32", "bfloat16", "int8", "int8_bfloat16")
TOKENS_A_SECOND = 10.0
Tokens = tuple[int, ...]


def written(engine: Engine, clips: Sequence[Clip], *, batch: int) -> list[Tokens]:
    """Tokens of each clip, encoded and decoded ``batch`` at a time, in the order given."""
    said: list[Tokens] = []
    for first in range(0, len(clips), batch):
        some = clips[first : first + batch]
        encoded = engine.encode([log_mel(clip.samples) for clip in some])
        requests = [request(e, clip) for e, clip in zip(encoded, some, strict=True)]
        said += [hypothesis.tokens for hypothesis in engine.decode(requests)]
    return said


def request(encoded: Encoded, clip: Clip) -> DecodeRequest:
    budget = token_budget(len(clip.samples) / 16_000, TOKENS_A_SECOND)
    return DecodeRequest(encoded=encoded, language=clip.language, max_new_tokens=budget)


def word_errors(engine: Engine, clips: Sequence[Clip], said: Sequence[Tokens]) -> float:
    """Share of words (zh: characters) that are wrong."""
    total = Errors()
    for clip, tokens in zip(clips, said, strict=True):
        total += errors(clip.text, engine.tokenizer.decode(tokens), clip.language)
    return total.rate


def same(one: Sequence[Tokens], other: Sequence[Tokens]) -> str:
    equal = sum(a == b for a, b in zip(one, other, strict=True))
    return f"{100 * equal / len(one):.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description="What batches and compute types change.")
    parser.add_argument("--clips", type=int, default=200, help="of each language")
    parser.add_argument("--split", choices=("dev", "test"), default="dev")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    clips = make_split(arguments.split, clips=arguments.clips)
    rows, exact = [], list[Tokens]()
    for compute_type in COMPUTE_TYPES:
        engine = load_model(arguments.model, compute_type=compute_type)
        alone = written(engine, clips, batch=1)
        together = written(engine, clips, batch=arguments.batch)
        exact = exact or alone
        wrong = [100 * word_errors(engine, clips, said) for said in (alone, together)]
        rows.append(
            (
                compute_type,
                same(alone, together),
                f"{wrong[0]:.2f} %",
                f"{wrong[1]:.2f} %",
                same(alone, exact),
            )
        )
    header = ("compute type", "the same in a batch", "WER alone", "in a batch", "as in float32")
    facts = {
        **provenance(),
        "model": arguments.model,
        "clips": f"{len(clips)}, {arguments.split} split, batches of {arguments.batch}",
    }
    report("Agreement", facts, table(rows, header), {row[0]: row[1:] for row in rows})


if __name__ == "__main__":
    main()
