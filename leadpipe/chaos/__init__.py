"""``leadpipe chaos``: a running system under kills and faults, and what it did compared with what happened."""
