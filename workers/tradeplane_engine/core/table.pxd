cdef class Table:
    cdef readonly tuple symbols, digits, timeframes, labels
    cdef readonly dict ids, numbers
    cdef readonly Py_ssize_t rows, base_rows
    cdef readonly object starts, columns, rank
    cdef const long long[::1] start, end, available_at, open, high, low, close, volume
    cdef const int[::1] symbol_of, series_of
    cdef const long long[::1] unit
    cdef const long long[::1] first

    cpdef int symbol_at(self, Py_ssize_t row) except -1
    cpdef long long timeframe_of(self, Py_ssize_t row) except? -1
    cpdef str label_of(self, Py_ssize_t row)
    cpdef int series_id(self, int symbol, object timeframe) except -1

cdef class Bars:
    cdef list _bars
    cdef readonly str timeframe
    cdef readonly long long end
    cdef readonly tuple absent

cdef class Bar:
    cdef Table _table
    cdef Py_ssize_t _row
