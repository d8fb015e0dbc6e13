"""Encoders of page and region images: late interaction, or one vector an image."""
