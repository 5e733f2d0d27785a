"""Follow Up Boss: client, mapping, sync and repair, write-back, webhooks."""
