"""How long each step takes: near-free timers, exact percentiles, Prometheus text."""

from whisper_service.metrics.performance import PerformanceMetrics

__all__ = ["PerformanceMetrics"]
