"""The invented team's lake for the tests of the marts."""

from tests.dbt.seeding import seeded

__all__ = ["seeded"]
