"""Java archives made by the standard library, honest ones and such as no build writes."""

import io
import struct
import zipfile
from collections.abc import Mapping

DATE = (1980, 1, 1, 0, 0, 0)
END = 22


def jar(entries: Mapping[str, bytes], *, is_stored: bool = False, before: bytes = b"") -> bytes:
    """An archive with *entries*, the same for the same ones. before: a script in front, as executable ones have."""
    file = io.BytesIO()
    file.write(before)
    with zipfile.ZipFile(file, "a") as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return file.getvalue()


def pom(group: str, artifact: str, version: str) -> dict[str, bytes]:
    """The entry that Maven's archiver adds to what it builds."""
    text = f"#Created by Apache Maven 3.8.7\nversion={version}\ngroupId={group}\nartifactId={artifact}\n"
    return {f"META-INF/maven/{group}/{artifact}/pom.properties": text.encode()}


def manifest(**attributes: str) -> dict[str, bytes]:
    """A manifest with these main attributes, `_` for `-` in their names, wrapped at 70 bytes as `jar` does."""
    lines = []
    for key, text in {"Manifest-Version": "1.0", **attributes}.items():
        line = f"{key.replace('_', '-')}: {text}"
        lines += [line[:70], *(f" {line[at : at + 69]}" for at in range(70, len(line), 69))]
    return {
        "META-INF/MANIFEST.MF": (
            "\r\n".join(lines) + "\r\n\r\nName: a/b.class\r\nImplementation-Version: 9\r\n"
        ).encode()
    }


def patched(archive: bytes, offset: int, form: str, value: int) -> bytes:
    """*archive* with the number at *offset*, from the end if negative, overwritten."""
    data = bytearray(archive)
    struct.pack_into(form, data, offset % len(data), value)
    return bytes(data)
