"""Adaptation, measured and shown."""
