cimport cython

from tradeplane_engine.core cimport codes as orders
from tradeplane_engine.core cimport codes as tradable
from tradeplane_engine.core cimport codes as venue_settings
from tradeplane_engine.core cimport exact
from tradeplane_engine.core.costs cimport Costs
from tradeplane_engine.core.order cimport Order
from tradeplane_engine.core.table cimport Table

cdef class Market:
    cdef readonly Costs costs
    cdef readonly list books
    cdef readonly int fill_at, path
    cdef readonly long long reached
    cdef readonly Py_ssize_t total
    cdef Costs taker
    cdef Table table
    cdef int[::1] waiting
    cdef bint _extended
    cdef bint touch, limited, whole_shares, plain, marked
    cdef readonly bint quoted
    cdef object participation, volume_share, impact
    cdef list _halts
    cdef const long long[::1] _bid, _ask, _bid_size, _ask_size
    cdef long long[::1] _standing, _bid_left, _ask_left
    cdef long long[::1] _budget, _budget_row
    cdef const signed char[::1] _flags
    cdef const int[::1] _session

    cpdef object add(self, Order order)

    @cython.locals(book=list, place=cython.Py_ssize_t)
    cpdef object remove(self, Order order)

    cpdef int flags(self, Py_ssize_t row) except? -1

    @cython.locals(order=Order, start=cython.longlong, flags=cython.int, tif=cython.int, takes_part=cython.bint)
    cpdef object at_open(self, int symbol, Py_ssize_t row, list found)

    @cython.locals(order=Order, start=cython.longlong, flags=cython.int, tif=cython.int, takes_part=cython.bint)
    cpdef object at_reopening(self, int symbol, Py_ssize_t row, list found)

    @cython.locals(order=Order, end=cython.longlong, flags=cython.int, tif=cython.int, takes_part=cython.bint)
    cpdef object at_close(self, int symbol, Py_ssize_t row, list found)

    cpdef object show(self, int symbol, Py_ssize_t quote)
    @cython.locals(quote=cython.longlong)
    cpdef long long offer(self, Order order, long long now) except? -1
    cpdef long long size(self, Order order) except? -1
    cpdef object use(self, Order order, long long quantity)

    cdef bint _on_path(self, Order order, long long start) except -1

    @cython.locals(edge=cython.longlong)
    cpdef bint meets(self, Order order, long long price) except -1

    cdef long long _edge(self, Order order) except? -1

    @cython.locals(
        order=Order, start=cython.longlong, high=cython.longlong, low=cython.longlong, found=cython.int,
        edge=cython.longlong, reached=cython.bint
    )
    cpdef int stirs(self, int symbol, Py_ssize_t row) except -1

    cdef bint _falls_to(self, Order order) except -1

    @cython.locals(
        order=Order, best=Order, start=cython.longlong, nearest=cython.longlong, exhausted=cython.bint,
        edge=cython.longlong, at_once=cython.bint, reached=cython.bint, distance=cython.longlong
    )
    cpdef Order next(self, list book, Py_ssize_t row, long long position, long long target)

    @cython.locals(order=Order, start=cython.longlong)
    cpdef object drift(self, list book, Py_ssize_t row, long long price)

    @cython.locals(symbol=cython.int)
    cpdef long long left(self, Py_ssize_t row) except? -1

    cpdef object take(self, Py_ssize_t row, long long quantity)

    cdef long long _share_of(self, long long volume) except? -1

    @cython.locals(found=cython.longlong)
    cpdef long long price(self, Order order, long long reference, long long quantity, Py_ssize_t row) except? -1

    @cython.locals(moved=object)
    cdef long long _moved(self, int side, long long price, long long quantity, long long volume) except? -1
