"""The quick start's retailer: Complete Journey, written into the inbox as a retailer would send it."""
