"""Market data: Zillow Research files and Bridge listings."""
