"""Copies large files: where the file system can, the copy shares the original's blocks until one of the two changes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def copy_file(source: Path, target: Path) -> None:
    """Copy the bytes of a file that nobody writes to meanwhile.

    Linux shares the blocks on file systems with reflinks (XFS, Btrfs): the copy costs the same however large the file
    is, and takes no space of its own at first. Elsewhere the bytes are copied.

    Raises:
        OSError: the file cannot be read, or the copy not written.
    """
    try:
        _copy_in_kernel(source, target)
    except (AttributeError, OSError):  # a system without the call, or two file systems between which it cannot copy
        shutil.copyfile(source, target)


def _copy_in_kernel(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        left = os.fstat(reader.fileno()).st_size
        while left:
            done = os.copy_file_range(reader.fileno(), writer.fileno(), left)
            if not done:
                raise OSError(f"{left} bytes of {source} were not copied")
            left -= done
