"""The web application the outside world calls: webhooks, callbacks, unsubscribe."""
