"""The invented team's lake for the tests of what analysts do."""

from tests.dbt.seeding import seeded

__all__ = ["seeded"]
