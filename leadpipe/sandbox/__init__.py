"""Faithful fakes of every provider over HTTP, with a simulated population and injected faults."""
