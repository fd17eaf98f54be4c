"""Everything that makes the embedded demo model. Needs PyTorch and libespeak-ng."""
