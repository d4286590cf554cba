"""The bundled phantoms as sample data, each ready for its demo model."""

from importlib import resources
from pathlib import Path

from napari_film.errors import InputError
from napari_film.plugin.layers import LayerData, layer_data_from_volume


def spinal_tumor() -> list[LayerData]:
    """Two contrasts of a spinal cord phantom with a tumour."""
    return _layers("spinal_tumor", {"_T1w": "Spine, Gd-e T1w", "_T2w": "Spine, T2w"})


def abdomen() -> list[LayerData]:
    """Contrast-enhanced CT phantom of an abdomen with organs."""
    return _layers("abdomen", {"_ct": "Abdomen, CT"})


def _layers(model: str, channels: dict[str, str]) -> list[LayerData]:
    """Read the first subject of a bundled BIDS tree: a layer per suffix, in this order."""
    from napari_film import nifti

    tree = Path(str(resources.files("napari_film.sample_data"))) / "volumes" / model
    files = sorted(file for file in tree.glob("sub-*/**/*.nii*") if "derivatives" not in file.relative_to(tree).parts)
    layers = []
    for suffix, name in channels.items():
        found = [file for file in files if file.name.split(".")[0].lower().endswith(suffix.lower())]
        if not found:
            raise InputError(f"The bundled {model} volumes are missing from this installation; install napari-film again.")
        volume = nifti.read(found[0])
        layers.append(layer_data_from_volume(volume, name=name, model=model))
    return layers
