"""A floating licence that moves with its domain."""

from floating_licence.driver import Licence

__all__ = ["Licence"]
