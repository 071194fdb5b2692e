"""A report of runs: one page that holds all it needs, to be read in a browser."""
