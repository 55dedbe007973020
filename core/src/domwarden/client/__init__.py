"""Asks this host's service over its Unix socket; imports nothing slow."""
