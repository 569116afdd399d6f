"""nightcore."""
