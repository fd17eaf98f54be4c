"""The whole transcriber over the shipped fakes, and the names of what it measures."""

from whisper_service import SessionRestartTranscriber
from whisper_service.testing import EnergyVad, ScriptedEngine, utterance

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
ALWAYS_RUN = tuple(s for s in STAGES if s != "whisper.insert_audio")
"""Encoding for text alone has nothing to do where LID has encoded the same window before."""
STATISTICS = {"count", "mean", "min", "max", "p50", "p95", "p99"}

SCRIPT = [
    *[("hello", 0.4), ("world", 0.4), ("please", 0.4), ("everything", 0.5), ("yes", 0.4)],
    (None, 1.0),
    *[("hola", 0.4), ("mundo", 0.4), ("gracias", 0.4), ("buenos", 0.4), ("sí", 0.4)],
    (None, 1.0),
]
SAID = "hello world please everything yes hola mundo gracias buenos sí"


def transcriber(**options):
    return SessionRestartTranscriber(
        engine=ScriptedEngine(),
        detector=EnergyVad(),
        target_languages=["en", "es"],
        clock=None,
        **options,
    )


def run(stream, audio=None, chunk=1600):
    samples = utterance(SCRIPT) if audio is None else audio
    results = [stream.process(samples[i : i + chunk]) for i in range(0, len(samples), chunk)]
    results.append(stream.finalize())
    return "".join(r["text"] for r in results).strip(), results


def finished_run():
    """A transcriber that has heard :data:`SCRIPT`."""
    stream = transcriber()
    text, _ = run(stream)
    assert text == SAID
    return stream
