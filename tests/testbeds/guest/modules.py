"""Reads what is needed from Debian's kernel modules: dependencies, symbol versions and layout."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_R_X86_64_64 = 1


@dataclass(frozen=True)
class Module:
    """One kernel module file (ELF64, relocatable, x86-64)."""

    name: str
    content: bytes
    depends: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """What this kernel expects of any module that it loads."""

    vermagic: str
    layout_crc: int
    module_bytes: int
    name_offset: int
    init_offset: int


def closure(tree: Path, names: Iterable[str]) -> list[Module]:
    """The named modules under the directory `tree` and all that they need.

    Raises KeyError with the module's name when the package has no such module.
    """
    files = {path.stem.replace("-", "_"): path for path in tree.rglob("*.ko")}
    found: dict[str, Module] = {}
    pending = list(names)
    while pending:
        name = pending.pop().replace("-", "_")
        if name in found:
            continue
        content = files[name].read_bytes()
        depends = _modinfo(_sections(content)).get("depends", "")
        found[name] = Module(
            name, content, tuple(d.replace("-", "_") for d in depends.split(",") if d)
        )
        pending.extend(found[name].depends)
    return [found[name] for name in sorted(found)]


def modules_dep(modules: Iterable[Module]) -> str:
    """The text of modules.dep: each module with all it needs; the first to be loaded is last."""
    by_name = {module.name: module for module in modules}

    def needs(name: str) -> list[str]:
        ordered = list(by_name[name].depends)
        for other in by_name[name].depends:
            ordered += needs(other)
        return list(dict.fromkeys(reversed(ordered)))[
            ::-1
        ]  # the last place: after everyone who needs it

    return "".join(
        f"{name}.ko:{''.join(f' {other}.ko' for other in needs(name))}\n"
        for name in sorted(by_name)
    )


def layout(sample: Module) -> Layout:
    """Reads from one of the kernel's own modules how a module must look to be loaded.

    The checksum of `module_layout` is in `__versions`; `struct module` lies in
    `.gnu.linkonce.this_module`, and its relocations name the place of the `init` pointer.
    """
    sections = _sections(sample.content)
    this_module = sections[".gnu.linkonce.this_module"]
    versions = {
        name.rstrip(b"\0"): crc for crc, name in struct.iter_unpack("<Q56s", sections["__versions"])
    }
    return Layout(
        vermagic=_modinfo(sections)["vermagic"],
        layout_crc=versions[b"module_layout"],
        module_bytes=len(this_module),
        name_offset=this_module.index(sample.name.encode() + b"\0"),
        init_offset=_init_offset(sections),
    )


def _init_offset(sections: dict[str, bytes]) -> int:
    symbols, names = sections[".symtab"], sections[".strtab"]
    for offset, info, _ in struct.iter_unpack("<QQq", sections[".rela.gnu.linkonce.this_module"]):
        (name_at,) = struct.unpack_from("<I", symbols, (info >> 32) * 24)
        if info & 0xFFFFFFFF == _R_X86_64_64 and names[name_at:].startswith(b"init_module\0"):
            return int(offset)
    raise ValueError("the sample module has no init function")


def _modinfo(sections: dict[str, bytes]) -> dict[str, str]:
    pairs = (entry.decode().partition("=") for entry in sections[".modinfo"].split(b"\0") if entry)
    return {key: value for key, _, value in pairs}


def _sections(content: bytes) -> dict[str, bytes]:
    if content[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", content, 0x28)
    size, count, names_index = struct.unpack_from("<HHH", content, 0x3A)
    headers = [
        struct.unpack_from("<IIQQQQ", content, table + index * size) for index in range(count)
    ]
    names_at = headers[names_index][4]
    return {
        content[names_at + name : content.index(b"\0", names_at + name)].decode(): content[
            offset : offset + length
        ]
        for name, _, _, _, offset, length in headers
    }
