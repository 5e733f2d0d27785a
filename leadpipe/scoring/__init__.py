"""Scores: features, training, calibration, reasons."""
