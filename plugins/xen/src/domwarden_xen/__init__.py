"""The Xen engine of domwarden.

It is in :mod:`domwarden_xen.engine`; nothing is imported here, because each move starts processes
of this package that must begin at once.
"""
