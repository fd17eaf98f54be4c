"""Everything that makes the embedded demo model; needs PyTorch and libespeak-ng, run from the repository root."""
