"""The send protocol: claim, gate, channels, callbacks."""
