"""One call of libxl_domain_resume; run as a script, it needs nothing but Python itself.

``libxlcall.py DOMID COOPERATIVE``; exit 0, or 1 with the reason on stderr.
"""

import ctypes
import sys
from pathlib import Path

#: Debian's place first, then where a toolstack built from source lies.
_PLACES = (
    "usr/lib/*/libxenlight.so.*",
    "usr/lib/libxenlight.so.*",
    "usr/lib64/libxenlight.so.*",
    "usr/local/lib/libxenlight.so.*",
    "usr/lib/xen*/lib/libxenlight.so.*",
)
#: LIBXL_VERSION of libxl.h; it is checked by libxl_ctx_alloc and has always been 0.
_LIBXL_VERSION = 0
#: xentoollog_level: XTL_ERROR and above go to stderr.
_XTL_ERROR = 8


def _beside(library: str, other: str) -> ctypes.CDLL:
    found = sorted(Path(library).parent.glob(f"{other}.so.*"))
    return ctypes.CDLL(str(found[0]) if found else f"{other}.so.1")


def resume(domid: int, cooperative: int) -> int:
    """Return what libxl_domain_resume returns; raises OSError where there is no libxl."""
    found = [path for place in _PLACES for path in sorted(Path("/").glob(place))]
    library = str(found[0]) if found else "libxenlight.so"
    libxl = ctypes.CDLL(library)
    toollog = _beside(library, "libxentoollog")
    toollog.xtl_createlogger_stdiostream.restype = ctypes.c_void_p
    stderr = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    logger = ctypes.c_void_p(toollog.xtl_createlogger_stdiostream(stderr, _XTL_ERROR, 0))
    context = ctypes.c_void_p()
    status = libxl.libxl_ctx_alloc(ctypes.byref(context), _LIBXL_VERSION, 0, logger)
    if status:
        return int(status)
    libxl.libxl_domain_resume.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_void_p,
    ]
    try:
        return int(libxl.libxl_domain_resume(context, domid, cooperative, None))
    finally:
        libxl.libxl_ctx_free(context)


if __name__ == "__main__":
    try:
        code = resume(int(sys.argv[1]), int(sys.argv[2]))
    except (OSError, AttributeError) as error:
        sys.exit(f"libxl cannot be used: {error}")
    if code:
        sys.exit(f"libxl says {code}")
