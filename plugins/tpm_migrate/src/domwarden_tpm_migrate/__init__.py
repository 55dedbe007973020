"""The virtual TPM of a domain."""
