"""Market data at the door: reading a dataset folder and refusing what must never be traded.

Reads local files only; nothing here knows a provider. Prices stay unadjusted; adjusting is the features' business.
"""
