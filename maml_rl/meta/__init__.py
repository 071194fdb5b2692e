"""Descent on tasks and through it; has never heard of reinforcement learning."""
