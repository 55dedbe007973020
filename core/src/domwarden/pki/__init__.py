"""Makes a small authority and the certificates of hosts."""

from domwarden.pki.directory import Directory, Made
from domwarden.pki.looking import Known, Standing, known

__all__ = ["Directory", "Known", "Made", "Standing", "known"]
