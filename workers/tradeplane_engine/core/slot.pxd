cimport cython

from tradeplane_engine.core.context cimport Context
from tradeplane_engine.core.order cimport Order
from tradeplane_engine.core.risk cimport Scope

cdef class Update:
    cdef readonly str event, reason
    cdef readonly Order order
    cdef readonly long long at, quantity, price, fee

    cdef object _begin(
        self, str event, Order order, long long at, long long quantity, long long price, long long fee, str reason
    )

@cython.locals(found=Update)
cpdef Update said(
    str event, Order order, long long at, long long quantity, long long price, long long fee, str reason
)

cdef class Slot:
    cdef readonly str name
    cdef readonly object strategy, on_bar, on_bars, on_order_update
    cdef readonly Context context
    cdef readonly Scope scope
    cdef readonly tuple scopes
    cdef readonly int number
    cdef readonly object first_row
    cdef readonly list declared
    cdef bint busy, follows
    cdef long long[::1] _first_row
    cdef const long long[::1] _wish

    cpdef object follow(self, object shares)

    cpdef object ring(self, long long at, str name)

    cdef object tell(self, Update update)
