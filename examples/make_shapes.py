"""Writes a folder of small images to try `--task folder:PATH` with: circles, squares and triangles.

python examples/make_shapes.py shapes
"""

import argparse
import random
from pathlib import Path

from PIL import Image, ImageDraw

SIZE = 32


def draw(shape, rng):
    """One image: a shape of random place, size and colour on a random background."""
    image = Image.new("RGB", (SIZE, SIZE), colour(rng, 0, 90))
    pen = ImageDraw.Draw(image)
    radius = rng.randint(6, 12)
    x, y = (rng.randint(radius, SIZE - radius) for _ in range(2))
    box = (x - radius, y - radius, x + radius, y + radius)
    if shape == "circle":
        pen.ellipse(box, fill=colour(rng, 120, 255))
    elif shape == "square":
        pen.rectangle(box, fill=colour(rng, 120, 255))
    else:
        corners = ((x, y - radius), (x - radius, y + radius), (x + radius, y + radius))
        pen.polygon(corners, fill=colour(rng, 120, 255))
    return image


def colour(rng, low, high):
    return tuple(rng.randint(low, high) for _ in range(3))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=60, help="of each shape")
    asked = parser.parse_args()
    rng = random.Random(0)
    for shape in ("circle", "square", "triangle"):
        (asked.folder / shape).mkdir(parents=True, exist_ok=True)
        for number in range(asked.images):
            draw(shape, rng).save(asked.folder / shape / f"{number}.png")
    print(f"wrote {3 * asked.images} images to {asked.folder}")


if __name__ == "__main__":
    main()
