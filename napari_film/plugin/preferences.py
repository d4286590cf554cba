"""What a person set on the plugin's page in napari's Preferences."""

from dataclasses import dataclass
from typing import get_args

from napari_film.inference.plan import DeviceName, PrecisionName


@dataclass(frozen=True)
class Preferences:
    """Settings of inference, as the manifest declares them; the defaults stand where napari knows no such page."""

    device: DeviceName = "auto"
    kept_masks_mb: int = 2048
    precision: PrecisionName = "auto"

    @property
    def kept_masks_bytes(self) -> int:
        """Memory for kept masks in bytes."""
        return self.kept_masks_mb * 1024**2


def preferences() -> Preferences:
    """Read the settings as they are now. The first time is slow: napari looks through the manifests of all plugins again."""
    try:
        from napari.settings import get_plugin_settings  # napari >= 0.9

        inference = get_plugin_settings("napari-film").inference
    except (ImportError, KeyError, AttributeError):
        return Preferences()
    device, precision = str(inference.device), str(inference.precision)
    return Preferences(
        next((name for name in get_args(DeviceName) if name == device), "auto"),
        max(0, int(inference.kept_masks_mb)),
        next((name for name in get_args(PrecisionName) if name == precision), "auto"),
    )
