"""Pure decisions: from what was seen at each end to the next action."""

from domwarden.plan.blackout import BLACKOUT_KEY, predicted_blackout_seconds, watchdog_too_short
from domwarden.plan.contradictions import contradiction
from domwarden.plan.epochs import UNSEEN_EPOCHS, EpochAnswer, claim
from domwarden.plan.evacuate import (
    Evacuation,
    Haven,
    Leaver,
    Limits,
    Policy,
    Trip,
    next_trips,
)
from domwarden.plan.order import JOB_STAGES, ORDER, SAVE_ORDER, Stage
from domwarden.plan.reclaim import Verdict, reclaim
from domwarden.plan.recovery import Begun, early, late
from domwarden.plan.settle import Action, Next, may_have_run, settle
from domwarden.plan.standing import Standing, owner, waits_for
from domwarden.plan.views import Decision, Desired, Fact, View

__all__ = [
    "BLACKOUT_KEY",
    "JOB_STAGES",
    "ORDER",
    "SAVE_ORDER",
    "UNSEEN_EPOCHS",
    "Action",
    "Begun",
    "Decision",
    "Desired",
    "EpochAnswer",
    "Evacuation",
    "Fact",
    "Haven",
    "Leaver",
    "Limits",
    "Next",
    "Policy",
    "Stage",
    "Standing",
    "Trip",
    "Verdict",
    "View",
    "claim",
    "contradiction",
    "early",
    "late",
    "may_have_run",
    "next_trips",
    "owner",
    "predicted_blackout_seconds",
    "reclaim",
    "settle",
    "waits_for",
    "watchdog_too_short",
]
