cdef class Log:
    cdef readonly object words
    cdef readonly dict reasons

    cpdef object write(
        self, long long kind, long long at, long long strategy, long long symbol, long long id,
        long long a, long long b, long long c
    )
    cpdef int reason(self, str word)
