"""The metadata of the slot that is edited, wired: one value a field, all values of the target, or weights for those of a field."""

from collections.abc import Mapping

from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_film.conditioning import MetadataSchema
from napari_film.fields import CategoricalField, Value
from napari_film.plugin.metadata_form import MetadataForm
from napari_film.plugin.sentences import told
from napari_film.plugin.session import SegmentationSession
from napari_film.plugin.weights_form import WeightsForm


class MetadataEditor(QWidget):
    """Puts the form, the box for all values and the weights together with the session."""

    def __init__(self, session: SegmentationSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.form = MetadataForm()
        self.all_values = QCheckBox("All values in one mask")
        self.all_values.setObjectName("film_all_values")
        self.weights = WeightsForm()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.form, self.all_values, self.weights):
            column.addWidget(widget)
        self.setSchema(None)
        self.form.valueChanged.connect(self._chosen)
        self.all_values.toggled.connect(session.set_all_values)
        self.weights.valueChanged.connect(self._weighed)
        self.weights.activeToggled.connect(lambda _: self._weighed())
        session.choices_changed.connect(self._show)

    def setSchema(self, schema: MetadataSchema | None) -> None:
        """Offer what a model can be told; None before one is chosen."""
        self.form.setSchema(schema)
        uncertain = next((field for field in schema or () if isinstance(field, CategoricalField) and field.role == "context"), None)
        self.weights.setField(uncertain)
        self.weights.setVisible(uncertain is not None)
        self.all_values.setVisible(schema is not None and schema.target is not None)

    def _chosen(self, values: Mapping[str, Value]) -> None:
        with told():
            self._session.set_metadata(values)
        self.form.setValue(self._session.metadata)  # the former ones where these were refused

    def _weighed(self, _: object = None) -> None:
        with told():
            self._session.set_mixture(self.weights.value() if self.weights.isActive() else None)

    def _show(self) -> None:
        """Show what is chosen in the slot that is edited."""
        choice = self._session.choice
        if choice is None:
            return
        self.form.setValue(choice.metadata)
        blocked = self.all_values.blockSignals(True)
        self.all_values.setChecked(choice.all_values)
        self.all_values.blockSignals(blocked)
        schema = choice.header.metadata_schema
        for field in schema:
            weighed = choice.mixture is not None and choice.mixture.field == field.name
            self.form.setFieldEnabled(field.name, not weighed and not (choice.all_values and field is schema.target))
        self.weights.setActive(choice.mixture is not None)
        if choice.mixture is not None:
            self.weights.setValue(choice.mixture)
