cdef class Agenda:
    cdef list _events
    cdef long long _added
    cdef readonly long long next_at

    cpdef object add(self, long long at, int phase, object event)
    cpdef list take(self, long long now, int phase)
