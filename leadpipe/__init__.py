"""leadpipe: answers new leads, revives aged ones, and can say why each message went.

The domain library: plain Python. Only ``leadpipe.definitions`` imports Dagster.
"""
