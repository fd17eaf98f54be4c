"""Special tokens, languages and tasks of a checkpoint.

They are looked up by name in ``tokenizer.json`` first and then in ``generation_config.json`` and
``config.json``: ids differ between vocabularies (51,864, 51,865 and 51,866 tokens exist), names
do not.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from whisper_service.errors import ModelFormatError
from whisper_service.types import Task

Json = Mapping[str, Any]

log = logging.getLogger(__name__)

_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationConfig:
    """Token ids and defaults for decoding. ``languages`` is empty for an English-only model."""

    sot: int
    eot: int
    transcribe: int
    translate: int | None
    sot_prev: int
    no_speech: int
    no_timestamps: int
    timestamp_begin: int  # id of <|0.00|>; every 0.02 s one more
    multilingual: bool
    languages: Mapping[str, int]  # code -> token id, in the order of the ids
    suppress_tokens: tuple[int, ...]
    begin_suppress_tokens: tuple[int, ...]
    alignment_heads: tuple[tuple[int, int], ...]  # (decoder layer, head)
    tasks: tuple[Task, ...]


def special_tokens(tokenizer_json: bytes) -> dict[str, int]:
    """Find the added tokens (``<|…|>``) of a ``tokenizer.json`` with their ids.

    Only that list is parsed: the vocabulary is 4 MB of JSON that ``tokenizers`` reads faster.
    """
    text = tokenizer_json.decode("utf-8")
    key = re.search(r'"added_tokens"\s*:\s*(?=\[)', text)
    if key is None:
        raise ModelFormatError("tokenizer.json has no added_tokens; it is not Whisper's tokenizer")
    entries, _ = json.JSONDecoder().raw_decode(text, key.end())
    return {entry["content"]: entry["id"] for entry in entries}


def generation_config(
    config: Json, generation: Json, tokens: Mapping[str, int]
) -> GenerationConfig:
    """Put together what ``config.json``, ``generation_config.json`` and the tokenizer say.

    ``config`` may hold two keys of this project: ``tasks`` and ``languages``, lists of what the
    checkpoint was trained for. Raises ``ModelFormatError`` when a token is missing everywhere.
    """
    find = _Finder({**config, **generation}, tokens)
    no_timestamps = find("no_timestamps_token_id", "<|notimestamps|>")
    tasks_ids = find.values.get("task_to_id") or {}
    translate = tokens.get("<|translate|>", tasks_ids.get("translate"))
    multilingual = _is_multilingual(find.values, tokens, no_timestamps)
    return GenerationConfig(
        sot=find("decoder_start_token_id", "<|startoftranscript|>"),
        eot=find("eos_token_id", "<|endoftext|>"),
        transcribe=find("", "<|transcribe|>", default=tasks_ids.get("transcribe")),
        translate=translate,
        sot_prev=find("prev_sot_token_id", "<|startofprev|>"),
        no_speech=find("", "<|nospeech|>", "<|nocaptions|>"),
        no_timestamps=no_timestamps,
        timestamp_begin=tokens.get("<|0.00|>", no_timestamps + 1),
        multilingual=multilingual,
        languages=_languages(find.values, tokens) if multilingual else {},
        suppress_tokens=_ids(find.values, "suppress_tokens"),
        begin_suppress_tokens=_ids(find.values, "begin_suppress_tokens"),
        alignment_heads=tuple(_alignment_heads(find.values)),
        tasks=_tasks(config, can_translate=multilingual and translate is not None),
    )


@dataclass(frozen=True, slots=True)
class _Finder:
    """Looks a special token up by name in the tokenizer, then by key in the configuration."""

    values: Json
    tokens: Mapping[str, int]

    def __call__(self, key: str, *names: str, default: int | None = None) -> int:
        found = next((self.tokens[name] for name in names if name in self.tokens), None)
        if found is None:
            found = self.values.get(key, default)
        if not isinstance(found, int):
            raise ModelFormatError(
                f"neither tokenizer.json nor generation_config.json knows {names[0]}; "
                "copy both from the model this one was made from"
            )
        return found


def _is_multilingual(values: Json, tokens: Mapping[str, int], no_timestamps: int) -> bool:
    """English-only tokenizers hold language tokens too, so the configuration decides first."""
    if isinstance(stated := values.get("is_multilingual"), bool):
        return stated
    if values.get("lang_to_id"):
        return True
    forced = dict(values.get("forced_decoder_ids") or [])
    if forced.get(1) == no_timestamps:  # multilingual models have the language there
        return False
    return any(_LANGUAGE.fullmatch(token) for token in tokens)


def _languages(values: Json, tokens: Mapping[str, int]) -> dict[str, int]:
    known = {m[1]: i for token, i in tokens.items() if (m := _LANGUAGE.fullmatch(token))}
    listed = {k.strip("<|>"): i for k, i in (values.get("lang_to_id") or {}).items()}
    allowed = set(values.get("languages") or listed or known)
    both = {**listed, **known}
    return {code: i for code, i in sorted(both.items(), key=lambda kv: kv[1]) if code in allowed}


def _ids(values: Json, key: str) -> tuple[int, ...]:
    vocabulary = values["vocab_size"]
    return tuple(sorted({int(i) for i in values.get(key) or () if 0 <= int(i) < vocabulary}))


def _alignment_heads(values: Json) -> Iterator[tuple[int, int]]:
    """Heads that follow the audio; by default the second half (openai/whisper model.py).

    A distilled checkpoint may name those of its teacher, whose decoder is deeper: none of them is
    known to follow the audio here, so the default is taken.
    """
    layers, heads = values["decoder_layers"], values["decoder_attention_heads"]
    stated = [(int(layer), int(head)) for layer, head in values.get("alignment_heads") or ()]
    known = all(0 <= layer < layers and 0 <= head < heads for layer, head in stated)
    if not known:
        log.info("alignment_heads are of another decoder; those of the second half are taken")
    if stated and known:
        yield from stated
    else:
        yield from ((i, h) for i in range(layers // 2, layers) for h in range(heads))


def _tasks(config: Json, *, can_translate: bool) -> tuple[Task, ...]:
    """``tasks`` of ``config.json``, or what the shape of the checkpoint tells.

    Whisper's own multilingual checkpoints have as many decoder layers as encoder layers. Those
    with a pruned decoder (large-v3-turbo, distil-whisper) were trained further on transcription
    only: see the model card of openai/whisper-large-v3-turbo.
    """
    if stated := config.get("tasks"):
        return tuple(task for task in ("transcribe", "translate") if task in stated)
    pruned = config["decoder_layers"] < config["encoder_layers"]
    return ("transcribe", "translate") if can_translate and not pruned else ("transcribe",)
