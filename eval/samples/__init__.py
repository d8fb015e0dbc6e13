"""The documents of the demonstration: four PDFs of a bicycle maker that does not exist."""
