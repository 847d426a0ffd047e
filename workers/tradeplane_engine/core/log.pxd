cimport cython

cdef class Log:
    cdef readonly dict reasons
    cdef long long[::1] _cells
    cdef Py_ssize_t _room, _used
    cdef object _words

    @cython.locals(used=cython.Py_ssize_t)
    cpdef object write(
        self, long long kind, long long at, long long strategy, long long symbol, long long id,
        long long a, long long b, long long c
    )
    cpdef object extend(self, object rows)
    cdef object _grow(self)
    cpdef int reason(self, str word)
