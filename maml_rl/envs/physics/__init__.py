"""Physics: all simulations of a MuJoCo model at once."""
