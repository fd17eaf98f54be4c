"""A whole recording into subtitles with their languages.

python examples/recording_to_captions.py recording.wav en,fr [model] > recording.srt
"""

import sys

import whisper_service as ws
from whisper_service.text.formats import FormatOptions, write_transcript


def main(path: str, languages: str, model: str = "demo") -> None:
    options = ws.StreamOptions(
        mode="offline",
        language=ws.LanguageOptions(policy="code_switch", languages=tuple(languages.split(","))),
    )
    transcript = ws.transcribe(ws.load_model(model), [ws.load_audio(path)], options)
    print(write_transcript(transcript, "srt", options=FormatOptions(language_tags=True)), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
