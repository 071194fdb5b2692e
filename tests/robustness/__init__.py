"""Bad input and bad luck of every kind: a line and an exit status, and nothing on disk is lost."""
