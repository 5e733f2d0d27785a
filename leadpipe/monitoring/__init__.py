"""How the system does: signs of life, figures for Prometheus, targets and the leads it forgets. It only looks."""
