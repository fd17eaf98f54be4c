"""The meaningful-output check against any(c.isalnum() for c in text).

    python benchmarks/meaningful.py [--json] [--quick]

Part of `whisper-service bench`; measured in `whisper_service.evaluation.bench.micro_text`.
"""

from common import part

if __name__ == "__main__":
    part("meaningful")
