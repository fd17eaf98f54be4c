"""Follow a recording through its changes of language as typed events.

python examples/live_events.py recording.wav en,fr,es [model]
"""

import sys

import whisper_service as ws
from whisper_service.events import Final, LanguageSwitched
from whisper_service.types import to_seconds


def main(path: str, languages: str, model: str = "demo") -> None:
    options = ws.StreamOptions(
        mode="fast",
        language=ws.LanguageOptions(policy="code_switch", languages=tuple(languages.split(","))),
    )
    stream = ws.StreamTranscriber(ws.load_model(model), options)
    samples = ws.load_audio(path)
    for start in range(0, len(samples), 1600):
        show(stream.feed(samples[start : start + 1600]))
    show(stream.finish())


def show(events: list) -> None:
    for event in events:
        match event:
            case Final(segment=s):
                print(f"{to_seconds(s.start):6.2f}  {s.language}  {s.text.strip()}")
            case LanguageSwitched(old=old, new=new, at=at):
                print(f"{to_seconds(at):6.2f}  -- {old} → {new}")


if __name__ == "__main__":
    main(*sys.argv[1:])
