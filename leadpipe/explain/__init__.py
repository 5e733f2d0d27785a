"""Why a message went and why one did not: explaining what was decided, and deciding it again from what was kept."""
