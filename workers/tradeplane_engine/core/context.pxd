cimport cython

from tradeplane_engine.core cimport exact
from tradeplane_engine.core.exact cimport int128
from tradeplane_engine.core.ledger cimport Ledger
from tradeplane_engine.core.order cimport at_market
from tradeplane_engine.core.risk cimport Book
from tradeplane_engine.core.table cimport Bar, Table

cdef class Indicator:
    cdef Context _context
    cdef const long long[::1] _exact_values
    cdef const double[::1] _float_values
    cdef readonly bint is_exact
    cdef bint _several
    cdef const long long[::1] _series
    cdef readonly long long denominator
    cdef readonly object spec

    cdef object _read(self, object values)

    @cython.locals(context=Context, row=cython.Py_ssize_t)
    cdef Py_ssize_t _at(self) except -2

    @cython.locals(row=cython.Py_ssize_t, there=cython.Py_ssize_t, second=Indicator, left=int128, right=int128)
    cdef int _compare(self, object other) except -2

cdef class Context:
    cdef readonly str name
    cdef Table _table
    cdef Ledger _ledger
    cdef Book _book
    cdef readonly long long now
    cdef dict _targets
    cdef list _wanted
    cdef readonly list explanations
    cdef Py_ssize_t _row
    cdef object _kernel
    cdef long long[::1] _last_row

    @cython.locals(quantity=cython.longlong, number=cython.int, held=cython.longlong, book=Book)
    cpdef target(self, str symbol, object shares=*, object weight=*, object notional=*)

    @cython.locals(
        book=Book, symbol=cython.int, wish=cython.longlong, held=cython.longlong, change=cython.longlong
    )
    cdef list _take(self, int number)

    cpdef int symbol_id(self, object symbol) except -1
    cdef long long _quantity(self, int number, object shares, object weight, object notional) except? -1
    cdef Py_ssize_t _newest(self, object symbol, object timeframe) except? -1

@cython.locals(change=cython.longlong)
cpdef long long missing(long long target, long long held, long long buying, long long selling) except? -1
