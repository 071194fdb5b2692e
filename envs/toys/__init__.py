"""Families without physics."""
