"""Text encoders: one vector per text, interchangeable behind `docrag.protocols.TextEmbedder`."""
