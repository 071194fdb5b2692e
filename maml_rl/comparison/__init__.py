"""Several runs as one experiment: trained, evaluated and compared by one command."""
