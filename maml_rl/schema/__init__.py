"""Bounds of options, and one-line errors."""
