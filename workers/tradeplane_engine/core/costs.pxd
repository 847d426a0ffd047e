from tradeplane_engine.core cimport exact

cdef class Costs:
    cdef readonly long long spread, spread_whole, commission, commission_whole
    cdef readonly object half_spread_bps, schedule

    cpdef long long price(self, int side, long long reference) except? -1
    cpdef long long fee(self, long long price, long long quantity, long long unit) except? -1
