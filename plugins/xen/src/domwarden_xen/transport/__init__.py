"""What stands between xl and the link during a move: one process at each end."""
