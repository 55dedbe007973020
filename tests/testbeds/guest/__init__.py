"""The Linux guest of the live tests: how it is built, how it is spoken to."""
