"""A copy has the bytes of the original, in however many steps the system makes it and whether it can at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mrs_resources.file_copy import copy_file

in_kernel = getattr(os, "copy_file_range", None)


def bit_by_bit(source: int, target: int, count: int) -> int:
    """What the system does that copies less than it is asked for."""
    assert in_kernel is not None
    copied: int = in_kernel(source, target, min(count, 1000))
    return copied


def gives_up_in_the_middle() -> Callable[[int, int, int], int]:
    """What a system does that copies something and then fails, for example between two file systems."""
    calls = iter([bit_by_bit])

    def copy(source: int, target: int, count: int) -> int:
        for call in calls:
            return call(source, target, count)
        raise OSError("Invalid cross-device link")

    return copy


def ends_early(_source: int, _target: int, _count: int) -> int:
    """What file systems do that do not know a file's length."""
    return 0


@pytest.mark.skipif(in_kernel is None, reason="this system has no such call")
@pytest.mark.parametrize("how", [in_kernel, bit_by_bit, gives_up_in_the_middle(), ends_early])
@pytest.mark.parametrize("size", [0, 1, 12_345])
def test_bytes_are_the_same(
    how: Callable[[int, int, int], int], size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "copy_file_range", how)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(np.random.default_rng(size).bytes(size))
    target.write_bytes(b"longer than the copy will be" * 1000)
    copy_file(source, target)
    assert target.read_bytes() == source.read_bytes()


def test_a_system_without_the_call_copies_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "copy_file_range", raising=False)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"rows")
    copy_file(source, target)
    assert target.read_bytes() == b"rows"


def test_a_missing_file_is_an_error_and_no_copy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        copy_file(tmp_path / "missing", tmp_path / "target")
    assert not (tmp_path / "target").exists()
