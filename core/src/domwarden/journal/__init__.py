"""The durable records of one host."""

from domwarden.journal.journal import Journal
from domwarden.journal.records import (
    DecisionRecord,
    DomainRecord,
    Entry,
    FactRecord,
    HistoryKind,
    HistoryRecord,
    Hook,
    JobRecord,
    MigrationRecord,
    SaveRecord,
    StepRecord,
    StepState,
)

__all__ = [
    "DecisionRecord",
    "DomainRecord",
    "Entry",
    "FactRecord",
    "HistoryKind",
    "HistoryRecord",
    "Hook",
    "JobRecord",
    "Journal",
    "MigrationRecord",
    "SaveRecord",
    "StepRecord",
    "StepState",
]
