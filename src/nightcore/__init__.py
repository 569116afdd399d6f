"""nightcore: night-time lights from annual composites to city means, right to the last bit."""

__version__ = "0.1.0"
