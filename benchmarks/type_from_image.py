"""How well the tumour's type can be read from the phantom's image: balanced accuracy of a small network.

The type is to be informative but not certain: the image alone should give it in 65 to 85 % (docs/phantoms.md). Two readings:
the whole central slices, with no help from the truth; and, with --crop, a box around the true tumour, which is the easier task
and so the stronger test of what can be read.

    python benchmarks/type_from_image.py --train 240 --test 120

Training and test subjects come from one data set, in order; the types are balanced in each. Needs the package with torch.
"""

from __future__ import annotations

import argparse
import csv
import platform
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from scipy import ndimage
from torch import nn

from napari_film.sample_data import write_phantom

TYPES = ("astrocytoma", "ependymoma", "hemangioblastoma")
SLICES = 5  # of each channel, the T1w's central ones
CROP = (128, 32)  # the same, of the box around the true tumour
SHAPE = (192, 64)  # along the spine, to the front: the spine canal and what is near it


def load(directory: Path, name: str, crop: bool) -> np.ndarray:
    """Return (2 SLICES, H, W): T1w and T2w on the T1w's voxels, in sagittal slices, head up, each with mean 0 and deviation 1."""
    t1w = nib.load(directory / name / "anat" / f"{name}_ce-gadolinium_T1w.nii.gz")
    t2w = nib.load(directory / name / "anat" / f"{name}_T2w.nii.gz")
    t1w = nib.as_closest_canonical(t1w)
    right, front, up = t1w.shape
    height, width = SHAPE
    if crop:
        truth = nib.as_closest_canonical(
            nib.load(directory / "derivatives/labels" / name / "anat" / f"{name}_ce-gadolinium_T1w_dseg.nii.gz")
        )
        where = np.argwhere(np.asarray(truth.dataobj) > 0)
        centre = (where.min(0) + where.max(0)) // 2
        height, width = CROP
    else:
        centre = np.array([right // 2, front // 2 - 6, up // 2])  # the canal lies behind the middle
    size = np.array([SLICES, width, height])
    low = np.clip(centre - size // 2, 0, np.array(t1w.shape) - size)
    first = np.asarray(t1w.dataobj, dtype=np.float32)[tuple(slice(a, a + n) for a, n in zip(low, size, strict=True))]
    between = np.linalg.inv(t2w.affine) @ t1w.affine
    between[:3, 3] += between[:3, :3] @ low
    second = ndimage.affine_transform(
        np.asarray(t2w.dataobj), between, output_shape=tuple(size), output=np.float32, order=1, mode="nearest"
    )
    stack = np.stack([first, second]).transpose(0, 1, 3, 2)  # (C, R, S, A)
    stack = (stack - stack.mean(axis=(1, 2, 3), keepdims=True)) / stack.std(axis=(1, 2, 3), keepdims=True)
    return stack.reshape(2 * SLICES, height, width)


class Reader(nn.Module):
    """A small convolutional network of single slices: four levels, then the mean and the maximum over all slices and places."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 2
        for level in range(4):
            out = width * 2 ** min(level, 2)
            layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)]
            channels = out
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(2 * channels, len(TYPES)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (B, 3) of images (B, 2 SLICES, H, W)."""
        slices = x.reshape(len(x), 2, SLICES, *x.shape[2:]).transpose(1, 2).flatten(0, 1)
        maps = self.features(slices)
        maps = maps.reshape(len(x), SLICES, *maps.shape[1:])
        return self.head(torch.cat([maps.mean(dim=(1, 3, 4)), maps.amax(dim=(1, 3, 4))], dim=1))


def augment(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Shift, mirror left to right, and change each channel's contrast: what says nothing of the type."""
    x = torch.roll(x, (int(rng.integers(-16, 17)), int(rng.integers(-4, 5))), (2, 3))
    if rng.random() < 0.5:
        x = x.reshape(len(x), 2, SLICES, *x.shape[2:]).flip(2).reshape(x.shape)
    if rng.random() < 0.5:
        x = x.flip(2)
    gain = torch.tensor(rng.normal(1, 0.1, (len(x), 2)), dtype=x.dtype).repeat_interleave(SLICES, 1)
    return x * gain[:, :, None, None] + torch.tensor(rng.normal(0, 0.1, (len(x), 1, 1, 1)), dtype=x.dtype)


def fit(images: torch.Tensor, types: torch.Tensor, epochs: int, seed: int) -> Reader:
    """Train a `Reader` on ``images`` (N, C, H, W) and ``types`` (N,)."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Reader()
    steps = epochs * (len(images) // 16)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    loss = nn.CrossEntropyLoss(label_smoothing=0.05)
    for _ in range(epochs):
        order = torch.from_numpy(rng.permutation(len(images)))
        for part in order[: len(images) // 16 * 16].split(16):
            optimiser.zero_grad()
            loss(model(augment(images[part], rng)), types[part]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def balanced_accuracy(table: np.ndarray) -> float:
    """Return the mean over the true types (rows) of the share read rightly."""
    return float(np.mean(np.diag(table) / table.sum(axis=1)))


def interval(true: np.ndarray, read: np.ndarray, draws: int = 2000) -> tuple[float, float]:
    """Return a 95 % bootstrap interval of the balanced accuracy, over test subjects within each type."""
    rng = np.random.default_rng(0)
    rights = [(read[true == t] == t).astype(float) for t in range(len(TYPES))]
    means = [np.mean([rng.choice(right, len(right)).mean() for right in rights]) for _ in range(draws)]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def main() -> None:
    """Write or read the phantoms, train, and print what was found."""
    parser = argparse.ArgumentParser(description="Read the tumour's type from the phantom's image.")
    parser.add_argument("--train", type=int, default=240, help="training subjects")
    parser.add_argument("--test", type=int, default=120, help="test subjects")
    parser.add_argument("--seed", type=int, default=1001, help="of the phantoms and of the training")
    parser.add_argument("--epochs", type=int, default=32)
    parser.add_argument("--readers", type=int, default=1, help="networks whose probabilities are averaged")
    parser.add_argument("--crop", action="store_true", help="show only a box around the true tumour")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, help="a spinal_tumor phantom that is there already")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as scratch:
        directory = arguments.data
        if directory is None:
            start = time.perf_counter()
            directory = write_phantom("spinal_tumor", Path(scratch) / "p", subjects=arguments.train + arguments.test, seed=arguments.seed)
            print(f"wrote the phantoms: {(time.perf_counter() - start) / (arguments.train + arguments.test):.2f} s a subject")
        with (directory / "participants.tsv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))[: arguments.train + arguments.test]
        images = torch.from_numpy(np.stack([load(directory, row["participant_id"], arguments.crop) for row in rows]))
    types = torch.tensor([TYPES.index(row["tumor_type"]) for row in rows])
    n = arguments.train
    start = time.perf_counter()
    total = torch.zeros(len(rows) - n, len(TYPES))
    for reader in range(arguments.readers):
        model = fit(images[:n], types[:n], arguments.epochs, arguments.seed + reader)
        with torch.inference_mode():
            probabilities = torch.cat([model(part).softmax(1) for part in images[n:].split(32)])
        total += probabilities
        one = (probabilities.argmax(1) == types[n:]).float()
        alone = torch.stack([one[types[n:] == t].mean() for t in range(len(TYPES))]).mean()
        print(f"reader {reader}: balanced accuracy {100 * float(alone):.1f} %")
    read, true = total.argmax(1).numpy(), types[n:].numpy()
    table = np.zeros((len(TYPES), len(TYPES)), int)
    np.add.at(table, (true, read), 1)
    low, high = interval(true, read)
    print(f"{'true type (rows), read as':26s}" + "".join(f"{name:>18s}" for name in TYPES))
    for name, row in zip(TYPES, table, strict=True):
        print(f"{name:26s}" + "".join(f"{count:18d}" for count in row))
    print(f"balanced accuracy {100 * balanced_accuracy(table):.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f})")
    hemangioblastoma = np.stack([table[:2].sum(0), table[2]])
    pair = np.stack([hemangioblastoma[:, :2].sum(1), hemangioblastoma[:, 2]], axis=1)
    print(f"hemangioblastoma against the others {100 * balanced_accuracy(pair):.1f} %")
    shown = "truth crop" if arguments.crop else "whole central slices"
    print(f"{n} training and {len(rows) - n} test subjects, {shown}, seed {arguments.seed}")
    print(f"{time.perf_counter() - start:.0f} s of training on {platform.machine()}, {torch.get_num_threads()} threads; ", end="")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}")


if __name__ == "__main__":
    main()
