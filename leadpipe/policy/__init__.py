"""May this message go, now? One dated verdict function over policy packs that are data."""
