"""Sheets of CIFAR-10, pictures in which every row is an image, as one npz: sheets.py OUT.npz SHEET.png..."""

import sys

import numpy as np
from PIL import Image

out, *sheets = sys.argv[1:]
images = [np.asarray(Image.open(sheet).convert("RGB")).reshape(-1, 32, 32, 3) for sheet in sheets]
np.savez_compressed(out, np.concatenate(images))
