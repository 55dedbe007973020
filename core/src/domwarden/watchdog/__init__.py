"""Supervision: expiries are recorded, escalated, and a lost timer is noticed."""
