"""Trained policies and models, measured on new tasks."""
