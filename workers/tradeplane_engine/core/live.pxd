cimport cython

from tradeplane_engine.core.agenda cimport Agenda
from tradeplane_engine.core.context cimport Context, Indicator
from tradeplane_engine.core.ledger cimport Ledger
from tradeplane_engine.core.order cimport Order
from tradeplane_engine.core.risk cimport Book
from tradeplane_engine.core.slot cimport Slot, Update
from tradeplane_engine.core.table cimport Table

cdef class GrowingTable(Table):
    cdef list _cells, _counts
    cdef readonly Py_ssize_t room

    @cython.locals(found=GrowingTable)
    cpdef GrowingTable larger(self)

cdef class LiveContext(Context):
    pass

cdef class Live:
    cdef readonly GrowingTable table
    cdef readonly LiveContext context
    cdef readonly Agenda agenda
    cdef readonly list slots, books, price
    cdef readonly object market
    cdef readonly bint has_extended_hours, has_sessions, started
    cdef readonly Py_ssize_t warmup, reach
    cdef int _digits
    cdef long long _accepted
    cdef list _declared, _withdrawn

    @cython.locals(ledger=Ledger, context=LiveContext)
    cpdef Py_ssize_t take(self, int symbol, object row) except -1

    @cython.locals(slot=Slot, context=LiveContext, table=GrowingTable, row=cython.Py_ssize_t)
    cpdef bint show(self, long long now, object rows) except -1

    cpdef object ring(self, long long now)

    @cython.locals(at=cython.longlong)
    cpdef long long ring_next(self, long long now) except? -1

    @cython.locals(context=LiveContext)
    cpdef bint wants(self) except -1

    @cython.locals(order=Order, context=LiveContext)
    cpdef list wanted(self)

    @cython.locals(context=LiveContext, book=Book)
    cpdef object accept(self, Order order, long long at, bint tell=*)

    cpdef object refuse(self, Order order, long long at, str reason, str detail)

    @cython.locals(symbol=cython.int, counted=cython.bint, complete=cython.bint, book=Book, context=LiveContext)
    cpdef object fill(self, Order order, long long quantity, long long price, long long fee, long long at, bint tell=*)

    @cython.locals(book=Book, context=LiveContext)
    cpdef object end(self, Order order, int status, str reason, long long at, bint tell=*)

    @cython.locals(price=cython.longlong, before=cython.longlong, book=Book, order=Order, context=LiveContext)
    cpdef object split(self, int symbol, long long new, long long old, long long at)

    @cython.locals(slot=Slot, context=LiveContext)
    cdef object _hear(self, Update update)

    @cython.locals(context=LiveContext, old=GrowingTable, one=Indicator)
    cdef object _grow(self)
