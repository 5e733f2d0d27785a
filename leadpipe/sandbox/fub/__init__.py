"""A Follow Up Boss account of its own: records, limits, paging, webhooks, error bodies. Facts: the FUB sheet."""
