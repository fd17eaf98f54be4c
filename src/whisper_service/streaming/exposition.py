"""One stream's statistics in the Prometheus text format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.metrics_core import Metric

from whisper_service.metrics.prometheus import counter, gauge, render

if TYPE_CHECKING:
    from whisper_service.streaming.transcriber import StreamTranscriber


def exposition(stream: StreamTranscriber) -> str:
    """Everything of :meth:`StreamTranscriber.get_statistics`, one family per quantity."""
    statistics = stream.get_statistics()
    families = stream.metrics.prometheus_families()
    return render([*families, *_audio(statistics), *_language(statistics), *_cache(statistics)])


def _audio(statistics: dict[str, Any]) -> list[Metric]:
    account = statistics["audio"]
    fates = ("decoded", "skipped_silence", "dropped")
    return [
        counter(
            "audio_received_seconds",
            "Audio taken in.",
            [({}, account["received"])],
        ),
        counter(
            "audio_fate_seconds",
            "What became of the audio: with pending it adds up to what was received.",
            [({"fate": fate}, account[fate]) for fate in fates],
        ),
        gauge("audio_pending_seconds", "Audio not decided yet.", [({}, account["pending"])]),
        gauge(
            "buffer_utilization_ratio",
            "Filled share of the audio ring buffer.",
            [({}, statistics["buffer_utilization"])],
        ),
        gauge("behind_seconds", "Behind real time.", [({}, statistics["behind_seconds"])]),
        counter(
            "invalid_samples", "NaN or infinite samples.", [({}, statistics["invalid_samples"])]
        ),
    ]


def _language(statistics: dict[str, Any]) -> list[Metric]:
    spoken = statistics["languages"] or {"none": 0.0}
    return [
        counter("language_switches", "Changes of language.", [({}, statistics["switches"])]),
        counter("sessions", "Whisper sessions started.", [({}, statistics["sessions"])]),
        counter("segments", "Completed segments.", [({}, statistics["segments"])]),
        counter(
            "speech_seconds",
            "Transcribed speech by language.",
            [({"language": code}, seconds) for code, seconds in spoken.items()],
        ),
    ]


def _cache(statistics: dict[str, Any]) -> list[Metric]:
    cache = statistics["encoder_cache"]
    return [
        counter("encoder_passes", "Windows encoded.", [({}, statistics["encoder_passes"])]),
        counter(
            "encoder_cache_lookups",
            "Needs of an encoding, by result.",
            [({"result": "hit"}, cache["hits"]), ({"result": "miss"}, cache["misses"])],
        ),
        gauge("encoder_cache_hit_ratio", "Hits per need.", [({}, cache["hit_rate"])]),
    ]
