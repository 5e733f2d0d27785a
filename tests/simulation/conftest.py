"""The outreach tests' team and people, whose next days are simulated and then happen."""

from tests.outreach.conftest import add_person, ask, live, planning_world, team, world

__all__ = ["add_person", "ask", "live", "planning_world", "team", "world"]
