"""What people agreed to, brought in from the team's files and shown: consents with their proof (C1-C4, C10)."""
