"""Where images come from: whatever lies at a path, as a train, a valid and a test part."""

from frenemy.data.dataset import open_dataset, open_images, read_picture
from frenemy.data.report import Report, describe
from frenemy.data.source import Dataset, Facts, Source

__all__ = [
    "Dataset",
    "Facts",
    "Report",
    "Source",
    "describe",
    "open_dataset",
    "open_images",
    "read_picture",
]
