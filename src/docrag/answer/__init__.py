"""Answerers and what they share: evidence ids, verified citations, abstention, trace."""
