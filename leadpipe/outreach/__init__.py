"""What to say to whom, and when: plans, enrolment, planner, templates, the queue."""
