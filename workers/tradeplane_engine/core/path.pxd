cimport cython

from tradeplane_engine.core cimport codes as orders
from tradeplane_engine.core cimport codes as venue_settings
from tradeplane_engine.core cimport exact
from tradeplane_engine.core.market cimport Market
from tradeplane_engine.core.order cimport Order
from tradeplane_engine.core.table cimport Table

@cython.locals(
    order=Order, high=cython.longlong, low=cython.longlong, close=cython.longlong, position=cython.longlong,
    target=cython.longlong
)
cpdef object walk(Market market, Table table, list book, Py_ssize_t row, object trader, bint high_first)

@cython.locals(policy=cython.int, up=object, down=object)
cpdef bint high_first(Market market, Table table, Py_ssize_t row) except -1

@cython.locals(rehearsal=Rehearsal)
cdef object _worth(Market market, Table table, Py_ssize_t row, bint high_first)

cdef class Rehearsal:
    cdef readonly list book
    cdef readonly object worth
    cdef readonly long long taken
    cdef Market market
    cdef Table table

    @cython.locals(
        quantity=cython.longlong, price=cython.longlong, unit=cython.longlong, fee=object, gain=object,
        complete=cython.bint, other=Order, leg=Order
    )
    cpdef object trade(self, Order order, Py_ssize_t row, long long reference, long long limit)
