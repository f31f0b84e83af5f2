"""Ways in which a file comes back from a disk or a network drive other than it was written."""

from collections.abc import Iterator


def damage(whole: bytes) -> Iterator[bytes]:
    """Yield a .npz file as something else altogether, empty, cut, and with some bytes of its first array altered."""
    yield b"nothing"
    yield b""
    yield whole[: len(whole) // 2]
    middle = len(whole) // 3
    yield whole[:middle] + bytes(byte ^ 0xFF for byte in whole[middle : middle + 16]) + whole[middle + 16 :]
