"""The audit log: who did what, sealed into a chain of hashes, and the proof that nothing in it was changed since."""
