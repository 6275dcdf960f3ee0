"""Tags by which a run says what it is for, and by which runs of one retailer are kept one after another."""

from __future__ import annotations

import hashlib

from mrs_assets.partitions import range_tags
from mrs_assets.planning.intake import AdmissionRequest
from mrs_assets.planning.plan import Plan, Step

RETAILER_TAG = "mrs/retailer"
PLAN_TAG = "mrs/plan"
STEP_TAG = "mrs/step"
ADMISSION_TAG = "mrs/admission"


def step_tags(plan: Plan, step: Step) -> dict[str, str]:
    """Tags of the run that carries out one step of a plan."""
    return range_tags(step.scope) | attempt_tags(plan, step) | {RETAILER_TAG: str(plan.scope.retailer), **_words(plan)}


def attempt_tags(plan: Plan, step: Step) -> dict[str, str]:
    """Tags that every try of a step has."""
    return {PLAN_TAG: plan.plan_id, STEP_TAG: hashlib.sha256(str(step).encode()).hexdigest()[:16]}


def _words(plan: Plan) -> dict[str, str]:
    """The plan as whoever looks at the run reads it."""
    told = {f"{PLAN_TAG}/because": plan.because, f"{PLAN_TAG}/purpose": plan.purpose}
    told[f"{PLAN_TAG}/days_changed"] = f"{len(plan.days_changed)}: {plan.days_changed[0]} to {plan.days_changed[-1]}"
    if plan.touched is not None:
        told[f"{PLAN_TAG}/reports"] = str(plan.touched.reports)
        told[f"{PLAN_TAG}/impact"] = f"{plan.touched.impact:.2f}"
        told[f"{PLAN_TAG}/share_of_rebuild"] = f"{plan.touched.share_of_rebuild:.1%} at most"
    return told


def admission_tags(request: AdmissionRequest) -> dict[str, str]:
    """Tags of the run that admits pending files."""
    return range_tags(request.scope) | {ADMISSION_TAG: request.request_id, RETAILER_TAG: str(request.scope.retailer)}
