"""What a prediction is asked for: metadata as they are, or a mixture of them, become the conditions that are run.

metadata   one condition, 100 %          expected mixture   one per value, by weight          blended mixture   one, 100 %
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_film.conditioning import Metadata
from napari_film.fields import Value
from napari_film.header import Header
from napari_film.inference.kept import Kept
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import Plan
from napari_film.inference.prediction import Prediction
from napari_film.preprocessing import Prepared

Condition = tuple[float, ...]


@dataclass(frozen=True)
class Asked:
    """Conditions (M,) to run, and the percent that each counts.

    ``metadata`` are those that are sure: the mixture's field is none of them. ``thresholds`` are the checkpoint's, 256ths, one
    per class.
    """

    metadata: Metadata
    mixture: Mixture | None
    conditions: tuple[Condition, ...]
    percent: tuple[int, ...]
    thresholds: tuple[int, ...]

    @classmethod
    def of(cls, header: Header, metadata: Mapping[str, Value], mixture: Mixture | None = None) -> "Asked":
        """Work out what to run for ``metadata`` under a checkpoint's schema, with ``mixture`` in place of its field's value.

        Raises
        ------
        MetadataError
            If the schema does not take them.
        """
        schema = header.metadata_schema
        if mixture is None:
            resolved = schema.resolve(metadata)
            condition = tuple(float(column) for column in schema.encode(resolved.values))
            return cls(resolved, None, (condition,), (100,), header.thresholds_for(resolved.values))
        components = mixture.components(schema, metadata)
        first = components[0][1]
        sure = Metadata({name: value for name, value in first.values.items() if name != mixture.field}, first.notices)
        if mixture.mode == "blended":
            parts = [(100, mixture.blended_condition(schema, metadata))]
        else:
            parts = [(percent, schema.encode(each.values)) for percent, each in components]
        conditions = tuple(tuple(float(column) for column in vector) for _, vector in parts)
        percent = tuple(percent for percent, _ in parts)
        return cls(sure, mixture, conditions, percent, mixture.thresholds(header, metadata))

    def answered(self, prepared: Prepared, kept: Sequence[Kept], plan: Plan, notices: Sequence[str] = ()) -> Prediction:
        """Put together what was computed, one ``kept`` per condition."""
        told = (*notices, *self.metadata.notices, *(self.mixture.notices if self.mixture else ()))
        return Prediction(prepared, self.metadata, Kept.mixed(kept, self.percent), self.thresholds, plan, told, mixture=self.mixture)
