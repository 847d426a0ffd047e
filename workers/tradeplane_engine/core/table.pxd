cdef class Table:
    cdef readonly tuple symbols, digits
    cdef readonly dict ids
    cdef readonly Py_ssize_t rows
    cdef readonly object starts, columns
    cdef const long long[::1] start, end, available_at, open, high, low, close, volume
    cdef const int[::1] symbol_of
    cdef const long long[::1] unit
    cdef const long long[::1] first

cdef class Bar:
    cdef readonly Table table
    cdef readonly Py_ssize_t row
