"""Frozen values of the field: scaled numbers, bars, orders, ids. Data only, no I/O, no clock."""
