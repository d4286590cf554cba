"""The bundled phantoms as sample data, each ready for its demo model.

Of several scenes or phases the first is in view; a person chooses another one in the dock, which is then seen in its place.
"""

from importlib import resources
from pathlib import Path

from napari_film.errors import InputError
from napari_film.plugin.layers import LayerData, layer_data_from_picture, layer_data_from_volume
from napari_film.volume import Volume

# The subject that is shown, and what its channels are called, by their BIDS suffix; the reference channel first.
_SUBJECTS = {"spinal_tumor": "sub-003", "abdomen": "sub-001"}
_CHANNELS = {
    "spinal_tumor": {"ce-gadolinium_T1w": "Spine, Gd-e T1w", "T2w": "Spine, T2w"},
    "abdomen": {"ct": "Abdomen, CT"},
}
_SCENES = (1, 2, 3)
_PATIENT = "patient001"
_PHASES = {"frame01": "Heart, end-diastole (ED)", "frame11": "Heart, end-systole (ES)"}


def spinal_tumor() -> list[LayerData]:
    """Two contrasts of a spinal cord phantom with a tumour."""
    return _layers("spinal_tumor")


def abdomen() -> list[LayerData]:
    """Contrast-enhanced CT phantom of an abdomen with organs."""
    return _layers("abdomen")


def clevr_seg() -> list[LayerData]:
    """Scenes of cubes, spheres and cylinders, in colour."""
    from napari_film import picture

    layers = []
    for place, number in enumerate(_SCENES):
        path = _find("clevr_seg", f"scenes/scene-0000{number}.png")
        data = layer_data_from_picture(picture.read(path), name=f"Scene {number}", model="clevr_seg", path=path, alternative=True)
        layers.append(_alternative(data, place))
    return layers


def cardiac() -> list[LayerData]:
    """Short-axis stacks of a heart phantom at end-diastole and end-systole, sliced as they were acquired."""
    from napari_film import nifti

    layers = []
    for place, (frame, name) in enumerate(_PHASES.items()):
        path = _find("cardiac", f"training/{_PATIENT}/{_PATIENT}_{frame}.nii.gz")
        data = layer_data_from_volume(nifti.read(path), name=name, model="cardiac", path=path, alternative=True)
        layers.append(_alternative(data, place))
    return layers


def truth(model: str) -> Volume:
    """Give the labels of the sample that goes with a demo model, on the voxels of its first channel."""
    from napari_film import nifti

    first = next(iter(_CHANNELS[model]))
    return nifti.read(_find(model, f"derivatives/labels/{_SUBJECTS[model]}/*/*_{first}_dseg.nii.gz"))


def _layers(model: str) -> list[LayerData]:
    """Give a layer for each channel of a bundled subject."""
    from napari_film import nifti

    layers = []
    for suffix, name in _CHANNELS[model].items():
        path = _find(model, f"{_SUBJECTS[model]}/*/*_{suffix}.nii.gz")
        layers.append(layer_data_from_volume(nifti.read(path), name=name, model=model, path=path))
    return layers


def _alternative(layer: LayerData, place: int) -> LayerData:
    """Let the first of several be in view alone."""
    data, arguments, kind = layer
    return data, {**arguments, "visible": place == 0}, kind


def _find(model: str, pattern: str) -> Path:
    """Give the one file of a bundled BIDS tree that fits ``pattern``."""
    tree = Path(str(resources.files("napari_film.sample_data"))) / "volumes" / model
    found = sorted(tree.glob(pattern))
    if not found:
        raise InputError(f"The bundled {model} volumes are missing from this installation; install napari-film again.")
    return found[0]
