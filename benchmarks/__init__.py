"""Measurements that anyone can run again; nothing here is asserted in tests."""
