"""A Twilio account of its own: messages, templates, callbacks, inbound. Facts: messaging sheet 1 to 3."""
