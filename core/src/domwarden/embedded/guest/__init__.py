"""The guest of the embedded engine."""
