"""Benchmarks of convolutions and models against the limits of the hardware, and their comparison.

Files are in pytest-benchmark's JSON format, with its statistics.
"""
