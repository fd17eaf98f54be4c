"""What log-mel features cost: incrementally, for whole files, and the old way.

    python benchmarks/features.py [--json] [--quick]

Part of `whisper-service bench`; measured in `whisper_service.evaluation.bench.micro_features`.
"""

from common import part

if __name__ == "__main__":
    part("features")
