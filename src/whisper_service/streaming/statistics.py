"""The numbers of one stream, as plain JSON-serializable values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whisper_service.types import AudioAccount, to_seconds

if TYPE_CHECKING:
    from whisper_service.streaming.transcriber import StreamTranscriber

STAGES = (
    "lid.total",
    "lid.frame_extract",
    "lid.encoder",
    "lid.detect",
    "lid.smoothing",
    "vad.buffer_append",
    "whisper.buffer_read",
    "whisper.insert_audio",
    "whisper.infer",
    "whisper.decode",
    "total",
)
"""Stages that ``statistics['performance']`` always has; one never run has count 0."""

NEVER_RUN = dict.fromkeys(("count", "mean", "min", "max", "p50", "p95", "p99"), 0)


def stream_statistics(stream: StreamTranscriber) -> dict[str, Any]:
    """Everything :meth:`StreamTranscriber.get_statistics` returns; times in ms and seconds."""
    measured = stream.metrics.get_statistics()
    account = stream.account
    received = to_seconds(account.received)
    encodings = stream.encodings
    return {
        "performance": {**{stage: dict(NEVER_RUN) for stage in STAGES}, **measured},
        "encoder_cache": stream.cache.get_statistics() if stream.cache is not None else no_cache(),
        "buffer_utilization": len(stream.front.ring) / stream.front.ring.capacity,
        "encoder_passes": encodings.passes,
        "encoder_passes_per_second": encodings.passes / received if received else 0.0,
        "encoded_seconds": to_seconds(encodings.encoded_samples),
        "languages": {code: to_seconds(n) for code, n in stream.spoken.items()},
        "current_language": stream.language,
        "sessions": stream.utterances.sessions,
        "switches": stream.utterances.news.switched,
        "segments": stream.utterances.segments.next_id,
        "audio": account_seconds(account),
        "invalid_samples": stream.front.invalid_samples,
        "behind_seconds": round(stream.pace.behind, 3),
        "updates_widened": stream.pace.widened,
    }


def account_seconds(account: AudioAccount) -> dict[str, float]:
    """The audio account in seconds."""
    return {
        "received": to_seconds(account.received),
        "decoded": to_seconds(account.decoded),
        "skipped_silence": to_seconds(account.skipped_silence),
        "dropped": to_seconds(account.dropped),
        "pending": to_seconds(account.pending),
    }


def no_cache() -> dict[str, float]:
    """What ``encoder_cache`` holds when caching is off: the same keys, all zero."""
    return {
        "hits": 0,
        "misses": 0,
        "hit_rate": 0.0,
        "size": 0,
        "capacity": 0,
        "evictions": 0,
        "utilization": 0.0,
    }
