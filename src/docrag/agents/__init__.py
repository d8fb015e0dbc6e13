"""Agents: answerers that call models in a loop, within a budget, and leave a trace."""
