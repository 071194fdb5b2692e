"""From argv and YAML to a checked Config, and from it to objects."""
