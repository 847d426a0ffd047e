cdef long long _NEVER
cdef int _ACCEPTED, _FILLED

cdef class Order:
    cdef readonly long long id, quantity, filled, limit, stop, trail, trail_bps, value
    cdef readonly long long created, live_from, expires, high_water
    cdef readonly int strategy, symbol, side, kind, time_in_force, status, number
    cdef readonly bint extended
    cdef readonly object parent, legs, replaces
    cdef public str role, reason

    cpdef object cut(self, long long quantity)
    cpdef object move(self, int status)
    cpdef bint fill(self, long long quantity, long long value) except -1
