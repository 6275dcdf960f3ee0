"""Attribution: why a report probably happened, as a choice among dated, located candidates."""
