"""The virtual TPM of a domain."""

from domwarden_tpm_migrate.driver import Tpm

__all__ = ["Tpm"]
