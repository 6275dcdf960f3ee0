"""Rehearsal: retailers on real series with causes whose truth is known, seen through the real stages."""
