"""From parameters theta_M to distributions, and their derivatives."""
