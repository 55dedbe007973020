"""The Linux guest of the live tests: built from Debian packages, spoken to over its serial console."""
