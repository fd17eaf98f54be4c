"""The asyncio stream: one task pushes audio, another reads events.

python examples/async_stream.py recording.wav en,fr
"""

import asyncio
import sys

import whisper_service as ws
from whisper_service.events import Final


async def main(path: str, languages: str) -> None:
    policy = ws.LanguageOptions(policy="code_switch", languages=tuple(languages.split(",")))
    options = ws.StreamOptions(mode="fast", language=policy)
    async with ws.AsyncStream(ws.StreamTranscriber(ws.load_model("demo"), options)) as stream:
        producer = asyncio.create_task(push(stream, path))
        async for event in stream:
            if isinstance(event, Final):
                print(event.segment.language, event.segment.text.strip())
        await producer


async def push(stream: ws.AsyncStream, path: str) -> None:
    samples = ws.load_audio(path)
    for start in range(0, len(samples), 1600):
        await stream.push(samples[start : start + 1600])
    await stream.end_input()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
