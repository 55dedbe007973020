"""The service: one process a host, which answers a JSON API over a Unix socket."""
