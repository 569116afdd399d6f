"""econ."""
