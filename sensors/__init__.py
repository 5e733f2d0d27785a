"""What starts runs: sensors, schedules, and the ops and jobs they start. Thin over ``leadpipe``."""
