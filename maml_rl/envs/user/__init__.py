"""Families on a user's own Gymnasium environments."""
