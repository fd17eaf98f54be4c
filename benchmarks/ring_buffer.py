"""What keeping the newest seconds costs: the ring buffer and np.concatenate.

    python benchmarks/ring_buffer.py [--json] [--quick]

Part of `whisper-service bench`; measured in `whisper_service.evaluation.bench.micro_buffer`.
"""

from common import part

if __name__ == "__main__":
    part("buffer")
