"""Tags by which a run says what it is for, and by which runs of one retailer are kept one after another."""

from __future__ import annotations

from mrs_assets.partitions import range_tags
from mrs_assets.planning.intake import AdmissionRequest
from mrs_assets.planning.plan import Plan

RETAILER_TAG = "mrs/retailer"
PLAN_TAG = "mrs/plan"
STEP_TAG = "mrs/step"
ADMISSION_TAG = "mrs/admission"


def step_tags(plan: Plan, number: int) -> dict[str, str]:
    """Tags of the run that carries out one step of a plan."""
    own = {PLAN_TAG: plan.plan_id, STEP_TAG: str(number), RETAILER_TAG: str(plan.scope.retailer)}
    return range_tags(plan.steps[number].scope) | own


def admission_tags(request: AdmissionRequest) -> dict[str, str]:
    """Tags of the run that admits pending files."""
    return range_tags(request.scope) | {ADMISSION_TAG: request.request_id, RETAILER_TAG: str(request.scope.retailer)}
