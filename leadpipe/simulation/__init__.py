"""What a plan would do: the real planner, gate and send protocol on a copy of the ledger that nobody else sees."""
