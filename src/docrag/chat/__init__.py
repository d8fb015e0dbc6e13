"""Conversations with chat models, as the stages see them: messages, the model's seam, budget, prompts."""
