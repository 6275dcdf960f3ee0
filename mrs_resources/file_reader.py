r"""From archived bytes to a plain file that DuckDB reads: compression, encoding and kind, told by content alone.

Names say nothing. gzip and zstd are opened, text is made UTF-8 with `\n` line ends, and what cannot be read whole is
rejected whole: a truncated file is not evidence.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

import pyarrow as pa

from mrs_assets.contracts.errors import FeedRejected

_PART = 1 << 22
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_NEVER_IN_TEXT = bytes(range(9)) + bytes(range(14, 32))
_RESEND = "Send the file again; nothing of it was used."


@dataclass(frozen=True)
class PlainFile:
    """A file that DuckDB can read as it is.

    Attributes:
        path: the archived file itself, or a copy in scratch.
        kind: what it holds.
    """

    path: Path
    kind: Literal["csv", "ndjson", "parquet"]


def plain_file(archived: Path, scratch: Path) -> PlainFile:
    """Open what is compressed, transcode what is not UTF-8, and say what kind of file it is.

    Raises:
        FeedRejected: empty, truncated, or neither text nor Parquet.
    """
    opened = _decompressed(archived, scratch)
    with opened.open("rb") as handle:
        head = handle.read(1 << 16)
    if head.startswith(_PARQUET):
        return PlainFile(opened, "parquet")
    encoding = _encoding(head)
    if encoding != "utf-8" or _needs_rewriting(opened):
        opened = _rewritten(opened, encoding, scratch)
        with opened.open("rb") as handle:
            head = handle.read(1 << 16)
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if not start:
        raise FeedRejected("The file is empty.", code="empty_file", remedy="Send it with a header line, or not at all.")
    if start.startswith(b"["):
        raise FeedRejected(
            "The file is one JSON array.", code="json_array", remedy="Send one JSON object per line (NDJSON)."
        )
    return PlainFile(opened, "ndjson" if start.startswith(b"{") else "csv")


def _decompressed(archived: Path, scratch: Path) -> Path:
    with archived.open("rb") as handle:
        magic = handle.read(4)
    if not magic.startswith((_GZIP, _ZSTD)):
        return archived
    target = scratch / "decompressed"
    try:
        with _stream(archived, magic) as source, target.open("wb") as sink:
            while part := source.read(_PART):
                sink.write(part)
    except (EOFError, gzip.BadGzipFile, zlib.error, pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the machine's fault, such as a full disk; what the file does wrong has no errno
        raise FeedRejected(
            f"The compressed file is truncated or damaged ({error}).", code="damaged_compression", remedy=_RESEND
        ) from error
    return target


def _stream(archived: Path, magic: bytes) -> IO[bytes]:
    if magic.startswith(_GZIP):
        return cast(IO[bytes], gzip.open(archived, "rb"))
    return cast(IO[bytes], pa.input_stream(str(archived), compression="zstd"))


def _encoding(head: bytes) -> str:
    """UTF-8 unless a byte-order mark or the pattern of zero bytes says UTF-16."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(len(head) // 2, 1)
    if odd > 0.4 * half and even == 0:
        return "utf-16-le"
    if even > 0.4 * half and odd == 0:
        return "utf-16-be"
    strange = len(head) - len(head.translate(None, delete=_NEVER_IN_TEXT))
    if strange > max(16, 0.05 * len(head)):
        raise FeedRejected(
            "The file is neither text nor Parquet.", code="not_text", remedy="Send CSV, NDJSON or Parquet."
        )
    return "utf-8"


def _needs_rewriting(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as handle:
            while part := handle.read(_PART):
                if b"\r" in part:
                    return True
                if not part.isascii() or decoder.getstate()[0]:
                    decoder.decode(part)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return True
    return False


def _rewritten(path: Path, encoding: str, scratch: Path) -> Path:
    target = scratch / "text"
    with target.open("w", encoding="utf-8", newline="") as sink:
        try:
            if encoding == "utf-8":
                sink.writelines(_lines_of_any_encoding(path))
            else:
                with path.open("r", encoding=encoding, newline=None) as source:
                    sink.writelines(source)
        except UnicodeDecodeError as error:
            raise FeedRejected(f"The {encoding} text is damaged ({error}).", code="not_text", remedy=_RESEND) from error
    return target


def _lines_of_any_encoding(path: Path) -> Iterator[str]:
    r"""Lines ending in `\n`, each read as UTF-8 or else as Windows-1252 or else as Latin-1: files do mix them."""
    with path.open("rb") as handle:
        for line in handle:
            text = _decoded(line)
            yield text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _decoded(line: bytes) -> str:
    for encoding in ("utf-8", "cp1252"):
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    return line.decode("latin-1")
