"""Figures of the running system: one module each, ``python -m benchmarks NAME --json``.

What lives here: measurements on temporary homes of their own, with generated data. What does not: tests (a slow machine
is no defect).
"""
