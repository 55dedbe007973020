"""Pure decisions: from what was seen at each end to the next action."""

from domwarden.plan.blackout import BLACKOUT_KEY, predicted_blackout_seconds, watchdog_too_short
from domwarden.plan.contradictions import contradiction
from domwarden.plan.epochs import EpochAnswer, claim
from domwarden.plan.order import JOB_STAGES, ORDER, SAVE_ORDER, Stage
from domwarden.plan.recovery import Begun, early, late
from domwarden.plan.settle import Action, Next, settle
from domwarden.plan.views import Decision, Desired, Fact, View

__all__ = [
    "BLACKOUT_KEY",
    "JOB_STAGES",
    "ORDER",
    "SAVE_ORDER",
    "Action",
    "Begun",
    "Decision",
    "Desired",
    "EpochAnswer",
    "Fact",
    "Next",
    "Stage",
    "View",
    "claim",
    "contradiction",
    "early",
    "late",
    "predicted_blackout_seconds",
    "settle",
    "watchdog_too_short",
]
