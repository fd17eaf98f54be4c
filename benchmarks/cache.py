"""What a look-up in the encoder cache costs, by position and by content.

    python benchmarks/cache.py [--json] [--quick]

Part of `whisper-service bench`; measured in `whisper_service.evaluation.bench.micro_cache`.
"""

from common import part

if __name__ == "__main__":
    part("cache")
