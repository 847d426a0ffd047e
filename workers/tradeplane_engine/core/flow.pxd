cimport cython

from tradeplane_engine.core cimport codes as log
from tradeplane_engine.core cimport codes as orders
from tradeplane_engine.core cimport codes as tradable
from tradeplane_engine.core cimport codes as venue_settings
from tradeplane_engine.core cimport exact, path
from tradeplane_engine.core.context cimport Context
from tradeplane_engine.core.costs cimport Costs
from tradeplane_engine.core.log cimport Log
from tradeplane_engine.core.market cimport Market
from tradeplane_engine.core.order cimport Order
from tradeplane_engine.core.risk cimport Book, Policy, Proposal, Scope
from tradeplane_engine.core.slot cimport Slot, Update, said
from tradeplane_engine.core.table cimport Table

cdef class OrderFlow:
    cdef readonly Table table
    cdef readonly Costs costs
    cdef readonly Market market
    cdef readonly Log log
    cdef readonly Scope account
    cdef readonly list slots, orders, due, splits
    cdef readonly dict references
    cdef readonly object sessions, breach, accrual, rules
    cdef public object broker, judged_by
    cdef readonly long long latency, decisions, pending
    cdef Proposal proposal
    cdef readonly long long now
    cdef long long due_at, day_ends
    cdef public long long judged_at
    cdef long long[::1] price, bar_end, last_split

    @cython.locals(context=Context, rounds=cython.int, order=Order, at=cython.longlong)
    cpdef object decide(self, Slot slot)

    @cython.locals(leg=Order)
    cpdef object judge(self, Slot slot, Order order)

    @cython.locals(
        scope=Scope, unit=cython.longlong, worth=cython.longlong, close=cython.longlong, symbol=cython.int, price=cython.longlong
    )
    cdef object _spend(self, Slot slot, Order order)

    @cython.locals(one=Slot)
    cdef object _begin_day(self, long long at)

    @cython.locals(row=cython.Py_ssize_t, seen=cython.bint, at_once=cython.bint)
    cdef object _meet_seen_close(self, Slot slot, Order order)

    @cython.locals(symbol=cython.int, scope=Scope)
    cpdef object refusal(self, Slot slot, Order order, long long quantity)

    @cython.locals(symbol=cython.int, price=cython.longlong, end=cython.longlong)
    cdef object _late_refusal(self, list quotes, Slot slot, Order order, long long quantity)

    @cython.locals(symbol=cython.int, price=cython.longlong, counted=cython.longlong, scope=Scope, slot=Slot)
    cdef object accept(self, Order order)

    @cython.locals(tif=cython.int)
    cdef object _place(self, Order order)

    @cython.locals(scope=Scope)
    cdef object refuse(self, Slot slot, Order order, object refusal)

    cdef object reject(self, Slot slot, Order order, object refusal)

    @cython.locals(leg=Order, found=Log)
    cdef object _turn_down(self, Order order, str reason, str scope)

    cpdef object at_open(self, Order order)

    @cython.locals(
        market=Market, flags=cython.int, found=list, closing=list, order=Order, stirs=cython.int, first=cython.bint
    )
    cpdef object within(self, int symbol, Py_ssize_t row)

    cpdef object arrive(self, Order order)

    @cython.locals(price=cython.longlong)
    cpdef object at_quote(self, Order order)

    cdef bint _is_open(self, Order order) except -1

    @cython.locals(tif=cython.int)
    cdef object _meet(self, Order order, Py_ssize_t row, long long price)

    @cython.locals(market=Market, rest=cython.longlong, quantity=cython.longlong, price=cython.longlong)
    cpdef object trade(self, Order order, Py_ssize_t row, long long reference, long long limit)

    @cython.locals(
        symbol=cython.int, slot=Slot, before=cython.longlong, unit=cython.longlong, wanted=cython.longlong,
        price=cython.longlong, held=cython.longlong, scope=Scope
    )
    cdef object _size(self, Order order, Py_ssize_t row, long long reference)

    @cython.locals(slot=Slot, fee=cython.longlong, complete=cython.bint, single=cython.bint, other=Order)
    cdef object _fill(self, Order order, long long quantity, long long price)

    @cython.locals(
        symbol=cython.int, unit=cython.longlong, fee=cython.longlong, signed=cython.longlong, complete=cython.bint,
        last=cython.longlong, scope=Scope, book=Book, realised=cython.longlong, more=cython.longlong
    )
    cdef long long _book(self, Slot slot, Order order, long long quantity, long long price) except? -1

    @cython.locals(slot=Slot, leg=Order, scope=Scope)
    cdef object _activate(self, Order entry)

    @cython.locals(slot=Slot, scope=Scope, was_held=cython.bint, counted=cython.longlong, member=Order)
    cpdef object end(self, Order order, int status, str event, str reason)

    @cython.locals(scope=Scope)
    cpdef object enter(self, Slot slot, int state, str reason)

    @cython.locals(order=Order, symbol=cython.int, held=cython.longlong)
    cpdef object close_out(self, Slot slot)

    @cython.locals(scope=Scope, slot=Slot)
    cpdef object quote(self, int symbol, long long price, long long end)

    cpdef object forget(self, int symbol)

    cdef object later(self, long long at, int what, Order order, Order other)

    cdef object note(self, Order order, long long other)

    @cython.locals(slot=Slot)
    cdef object tell(self, str event, Order order, str reason=*)

    @cython.locals(context=Context)
    cdef object _hear(self, Slot slot, Update update)
