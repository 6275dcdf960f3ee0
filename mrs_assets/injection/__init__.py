"""Anomalies of known kind, place and size, drawn onto real series: what models are taught with and tried on."""
