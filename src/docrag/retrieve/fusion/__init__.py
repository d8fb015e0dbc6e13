"""Ways to make one ranking of several: normalisations, and what is done with the normalised scores."""
