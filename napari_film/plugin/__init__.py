"""The napari plugin: the only home of Qt and napari."""
