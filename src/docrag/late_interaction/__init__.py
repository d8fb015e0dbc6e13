"""The arithmetic of late interaction: multi-vectors, exact MaxSim, pooling, compact stand-ins."""
