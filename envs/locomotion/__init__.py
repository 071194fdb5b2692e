"""MuJoCo's bodies, and what they are to do."""
