"""The parts of conditioned networks, one a module."""
