"""What is done to probabilities after the network: a threshold, and a clean-up of the mask that it gives.

Never runs the network again. Labels are cleaned one by one, in the order of the fields below.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Postprocessing(BaseModel):
    """From kept probabilities to the mask that a person sees.

    Parameters
    ----------
    threshold
        256ths of probability, for every class; None takes the checkpoint's for the metadata.
    largest_component
        Keep the largest component of each label alone.
    smallest_mm3
        Components smaller than this are taken away.
    fill_holes
        Holes that are closed on all sides become part of the label.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    threshold: Annotated[int, Field(ge=1, le=255)] | None = None
    largest_component: bool = False
    smallest_mm3: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    fill_holes: bool = False

    @property
    def cleans(self) -> bool:
        """Whether anything but a threshold is asked for: that needs the whole mask."""
        return self.largest_component or self.smallest_mm3 > 0 or self.fill_holes
