"""The bytes of a moving domain."""
