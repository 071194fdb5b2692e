"""A folder of pictures for tests."""

from pathlib import Path

from PIL import Image


def coloured(folder: Path, classes: int = 15, pictures: int = 3) -> Path:
    """Classes of some pictures, each class of a colour of its own."""
    for number in range(classes):
        (folder / f"class{number}").mkdir(parents=True)
        for picture in range(pictures):
            Image.new("RGB", (9, 9), (17 * number % 256, 80 * picture % 256, 200)).save(
                folder / f"class{number}" / f"{picture}.png"
            )
    return folder
