"""Where the places of a layer's map lie on the image: about the middle of what each place looks at.

A convolution without padding has no place for the image's rim, so its map stands for a part of the image, and with each
further one for a smaller part. The middles of receptive fields follow from every layer's kernel, stride and padding
(Araujo et al. 2019, https://distill.pub/2019/computing-receptive-fields). Unlike there, a padded layer is taken to
cover what its input covers, evenly: with a stride of 2 its windows lie half a place off to one side, and the two
branches of a residual block disagree about which.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import keras

_GLOBAL = {"GlobalAveragePooling2D", "GlobalMaxPooling2D"}


class MapGrid(NamedTuple):
    """The rectangles of an image that the places of a map stand for, in pixels of the image.

    Place (row, column) begins at top + row * height and left + column * width, and is `height` high and `width` wide.
    """

    top: float
    left: float
    height: float
    width: float


def even_grid(shape: tuple[int, int], image_size: tuple[int, int] = (64, 64)) -> MapGrid:
    """Return the grid of a map that covers the whole image evenly.

    Args:
        shape: (rows, columns) of the map.
        image_size: (height, width) of the image, pixels.
    """
    return MapGrid(0.0, 0.0, image_size[0] / shape[0], image_size[1] / shape[1])


def compute_grids(model: "keras.Model") -> dict[str, MapGrid]:
    """Return the grid of every layer by its name; of a layer that gives a list it is the one of the map before it.

    Args:
        model: Functional model of standard layers, for images of a fixed size.
    """
    grids: dict[str, MapGrid] = {}
    for layer in model.layers:
        sources = find_sources(layer)
        if not sources or type(layer).__name__ in _GLOBAL:
            grids[layer.name] = even_grid((1, 1) if sources else layer.output.shape[1:3], model.input.shape[1:3])
            continue
        source = min(sources, key=lambda one: grids[one.name].height)  # a gate of one place moves nothing
        grids[layer.name] = _move_grid(grids[source.name], layer, source)
    return grids


def find_sources(layer: "keras.Layer") -> list["keras.Layer"]:
    """Return the layers that a layer of a functional model reads; none for an input layer."""
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    sources = [tensor._keras_history.operation for tensor in inputs]
    return [source for source in sources if source is not layer]  # an input layer reads itself


def _move_grid(grid: MapGrid, layer: Any, source: Any) -> MapGrid:
    """Return the grid of a layer from the grid of the layer that it reads."""
    if type(layer).__name__ == "ZeroPadding2D":
        (above, _), (before, _) = layer.padding
        return grid._replace(top=grid.top - above * grid.height, left=grid.left - before * grid.width)
    window = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if window is None or len(window) != 2:
        return grid
    if type(source).__name__ == "ZeroPadding2D":  # such a convolution is a padded one, in two steps
        (above, _), (before, _) = source.padding
        grid = grid._replace(top=grid.top + above * grid.height, left=grid.left + before * grid.width)
        source = find_sources(source)[0]
    elif layer.padding == "valid":
        (down, across), (height, width) = layer.strides, window
        return MapGrid(
            grid.top + (height - down) / 2 * grid.height,
            grid.left + (width - across) / 2 * grid.width,
            down * grid.height,
            across * grid.width,
        )
    (rows_in, columns_in), (rows, columns) = source.output.shape[1:3], layer.output.shape[1:3]
    return grid._replace(height=grid.height * rows_in / rows, width=grid.width * columns_in / columns)
