"""Threads, ranks, signals, files, and the keys of random draws."""
