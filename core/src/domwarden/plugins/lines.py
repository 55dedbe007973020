"""Says in one line what a stranger's code raised."""


def one_line(error: BaseException) -> str:
    """Return the exception's type and its message without line breaks."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
