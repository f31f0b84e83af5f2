"""From a reader's file to an answer: safe pixels, the LiteRT engine, probabilities, timings.

Importing this room imports neither Keras nor LiteRT; TensorFlow is only met in child processes.
"""

from bloodcell.inference.engine import Engine, load_engine
from bloodcell.inference.forms import PRECISIONS, Precision, ensure_litert, find_litert
from bloodcell.inference.images import UploadedImage, list_images, read_image, read_image_file, read_images

__all__ = [
    "PRECISIONS",
    "Engine",
    "Precision",
    "UploadedImage",
    "ensure_litert",
    "find_litert",
    "list_images",
    "load_engine",
    "read_image",
    "read_image_file",
    "read_images",
]
