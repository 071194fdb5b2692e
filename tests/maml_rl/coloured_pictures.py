"""A folder of pictures for tests."""

from pathlib import Path

from PIL import Image


def coloured(folder: Path) -> Path:
    """Fifteen classes of three pictures, each class of a colour of its own."""
    for number in range(15):
        (folder / f"class{number}").mkdir(parents=True)
        for picture in range(3):
            Image.new("RGB", (9, 9), (17 * number, 80 * picture, 200)).save(
                folder / f"class{number}" / f"{picture}.png"
            )
    return folder
