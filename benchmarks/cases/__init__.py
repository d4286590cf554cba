"""The cases by name, in the order in which they run; each gives figures and notes. None of them loads torch by being imported."""

from collections.abc import Callable
from functools import partial

from benchmarks.cases import (
    batches,
    demo_models,
    imports,
    memory,
    slices,
    training_data,
    training_dice,
    training_memory,
    training_step,
    values,
    volume,
    window,
)
from benchmarks.figures import Figure
from benchmarks.settings import DEPTH_4, DEPTH_5, SPINAL_TUMOR, Setting, in_decoder

Case = Callable[..., tuple[list[Figure], list[str]]]

CASES: dict[str, Case] = {
    "slice-depth4": partial(slices.run, DEPTH_4, faster={"float32": 1.4, "bfloat16": 2.8}, share=87),
    "slice-depth5": partial(slices.run, DEPTH_5, faster={"float32": 1.9, "bfloat16": 3.6}, share=80),
    "slice-depth4-kept": partial(slices.run, DEPTH_4, memory_kept=True),
    "slice-depth5-kept": partial(slices.run, DEPTH_5, memory_kept=True),
    "values-depth4": partial(values.run, in_decoder(DEPTH_4)),
    "values-depth5": partial(values.run, in_decoder(DEPTH_5)),
    "values-depth4-everywhere": partial(values.run, DEPTH_4),
    "values-depth5-everywhere": partial(values.run, DEPTH_5),
    "volume-float32": partial(volume.run, volume.NATIVE, precision="float32"),
    "volume-auto": partial(volume.run, volume.NATIVE, precision="auto"),
    "volume-resampled-float32": partial(volume.run, volume.RESAMPLED, precision="float32"),
    "volume-resampled-auto": partial(volume.run, volume.RESAMPLED, precision="auto"),
    "memory": partial(memory.run, Setting(depth=4, features=16, channels=1, height=512, width=512)),
    "batches-spinal_tumor": partial(batches.run_bundled, "spinal_tumor", height=192, width=96),
    "batches-abdomen": partial(batches.run_bundled, "abdomen", height=96, width=112),
    "batches-depth4": partial(batches.run_setting, DEPTH_4),
    "batches-depth5": partial(batches.run_setting, DEPTH_5),
    "demo-spinal_tumor": partial(demo_models.run, "spinal_tumor"),
    "demo-abdomen": partial(demo_models.run, "abdomen"),
    "training-step-depth4": partial(training_step.run, DEPTH_4, batch=2, faster={"float32": 1.4, "bfloat16": 2.5}),
    "training-step-spinal_tumor": partial(training_step.run, SPINAL_TUMOR, batch=8, steps=5, faster={"float32": 1.4, "bfloat16": 2.5}),
    "training-dice": training_dice.run,
    "training-data": partial(training_data.run, SPINAL_TUMOR, batch=8, steps=32),
    "training-memory": training_memory.run,
    "imports": imports.run,
    "window-open_dock": partial(window.run, "dock", "open_dock"),
    "window-read_volume": partial(window.run, "dock", "read_volume"),
    "window-segment_wide": partial(window.run, "dock", "segment_wide"),
    "window-segment_narrow": partial(window.run, "dock", "segment_narrow"),
    "swap": partial(window.run, "swap", "swaps"),
    "responsiveness-wide": partial(window.run, "responsiveness", "wide"),
    "responsiveness-narrow": partial(window.run, "responsiveness", "narrow"),
    "responsiveness-importing": partial(window.run, "responsiveness", "importing", processes=5),
}
