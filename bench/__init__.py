"""What domwarden costs, each time beside a peer that was measured in the same run."""
