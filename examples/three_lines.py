"""Text as it is committed, chunk by chunk.  python examples/three_lines.py recording.wav en,fr"""

import sys

from whisper_service import SessionRestartTranscriber, load_audio


def main(path: str, languages: str) -> None:
    transcriber = SessionRestartTranscriber("demo", target_languages=languages.split(","))
    samples = load_audio(path)
    for start in range(0, len(samples), 8000):
        print(transcriber.process(samples[start : start + 8000])["text"], end="", flush=True)
    print(transcriber.finalize()["text"])
    print(transcriber.get_statistics()["audio"])


if __name__ == "__main__":
    main(*sys.argv[1:])
