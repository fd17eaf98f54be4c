"""What one measured operation costs: ours, the old way, prometheus_client.

    python benchmarks/metrics.py [--json] [--quick]

Part of `whisper-service bench`; measured in `whisper_service.evaluation.bench.micro_metrics`.
"""

from common import part

if __name__ == "__main__":
    part("metrics")
