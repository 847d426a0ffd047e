cimport cython

from tradeplane_engine.core.costs cimport Costs
from tradeplane_engine.core.order cimport Order
from tradeplane_engine.core.table cimport Table

cdef class Market:
    cdef readonly Costs costs
    cdef readonly list books
    cdef Table table
    cdef int[::1] waiting

    cpdef object add(self, Order order)
    cpdef object remove(self, Order order)

    @cython.locals(order=Order, start=cython.longlong, reference=cython.longlong)
    cpdef list at_open(self, int symbol, Py_ssize_t row)

    cpdef list within(self, int symbol, Py_ssize_t row)
