"""Model-agnostic meta-learning for reinforcement learning (Finn, Abbeel & Levine 2017)."""
