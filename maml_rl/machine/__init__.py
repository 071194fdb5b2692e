"""Threads, ranks, signals, files."""
