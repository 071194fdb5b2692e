"""Trained policies and models for use in Python: load one, adapt it to a task, act or predict with it."""
