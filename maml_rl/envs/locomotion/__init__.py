"""MuJoCo's bodies and their goals."""
