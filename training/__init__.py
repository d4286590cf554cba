"""Training of FiLM-conditioned U-Nets: `napari-film-train`."""
