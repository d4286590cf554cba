"""Preferences come from napari's settings, and have defaults without them."""

import pytest
from napari.settings import get_plugin_settings

from napari_film.plugin.preferences import Preferences, preferences


def test_defaults_without_the_page(monkeypatch):
    def missing(plugin):
        raise KeyError(plugin)

    monkeypatch.setattr("napari.settings.get_plugin_settings", missing)
    assert preferences() == Preferences("auto", 2048, "auto")
    assert preferences().kept_masks_bytes == 2 * 1024**3


@pytest.mark.usefixtures("make_napari_viewer_proxy")
def test_settings_are_read_as_they_are_now(monkeypatch):
    class _Page:
        class inference:
            device = "cpu"
            kept_masks_mb = 64
            precision = "float32"

    monkeypatch.setattr("napari.settings.get_plugin_settings", lambda plugin: _Page)
    assert preferences() == Preferences("cpu", 64, "float32")


def test_manifest_declares_them():
    page = get_plugin_settings("napari-film").inference
    assert {"device", "kept_masks_mb", "precision"} <= set(type(page).model_fields)
