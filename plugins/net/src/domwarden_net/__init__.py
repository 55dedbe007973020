"""Network cards of domains."""

from domwarden_net.driver import Net

__all__ = ["Net"]
