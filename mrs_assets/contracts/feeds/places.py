"""Admission rules of feeds whose rows say where something is."""

from mrs_assets.contracts.feed import AdmissionRule

PLACE_RULES = (
    AdmissionRule(
        "latitude_out_of_range",
        "latitude NOT BETWEEN -90 AND 90",
        "latitude is outside of -90 to 90: send degrees.",
    ),
    AdmissionRule(
        "longitude_out_of_range",
        "longitude NOT BETWEEN -180 AND 180",
        "longitude is outside of -180 to 180: send degrees.",
    ),
)
