cimport cython

from tradeplane_engine.core cimport exact
from tradeplane_engine.core.agenda cimport Agenda
from tradeplane_engine.core.context cimport Context
from tradeplane_engine.core.costs cimport Costs
from tradeplane_engine.core.ledger cimport Ledger
from tradeplane_engine.core.log cimport Log
from tradeplane_engine.core.market cimport Market
from tradeplane_engine.core.order cimport Order
from tradeplane_engine.core.quiet cimport Quiet
from tradeplane_engine.core.risk cimport Book, Policy, Proposal, Scope
from tradeplane_engine.core cimport risk
from tradeplane_engine.core.table cimport Bar, Table

cdef int _ORDER, _FILL, _NEW, _TERMINAL

cdef class Update:
    cdef readonly str event, reason
    cdef readonly Order order
    cdef readonly long long at, quantity, price, fee

cdef class Slot:
    cdef readonly str name
    cdef readonly object strategy, on_bar, on_bars, on_order_update
    cdef readonly Context context
    cdef readonly Scope scope
    cdef readonly int number
    cdef readonly object first_row
    cdef long long[::1] _first_row
    cdef const long long[::1] _wish
    cdef bint follows

cdef class Kernel:
    cdef readonly Table table
    cdef readonly Market market
    cdef readonly Costs costs
    cdef readonly Log log
    cdef readonly Scope account
    cdef readonly list slots, orders
    cdef readonly object equity
    cdef readonly Py_ssize_t instants
    cdef readonly long long latency, decisions, now
    cdef readonly bint started, watching
    cdef readonly Agenda agenda
    cdef Quiet _quiet
    cdef Proposal proposal
    cdef const long long[::1] _close_rows, _open_rows, _close_at, _open_at
    cdef long long[::1] _equity, price, bar_end

    @cython.locals(slot=Slot)
    cpdef object follow(self, Context context, object shares, object first)

    @cython.locals(
        rows=cython.Py_ssize_t, closed=cython.Py_ssize_t, opened=cython.Py_ssize_t, first=cython.Py_ssize_t,
        now=cython.longlong
    )
    cdef object _loop(self)

    @cython.locals(rings=cython.bint)
    cdef object _act(self, Py_ssize_t first, Py_ssize_t closed)

    @cython.locals(quiet=Quiet)
    cdef Py_ssize_t _pass(self, Py_ssize_t closed, Py_ssize_t opened) except -1

    cpdef object run(self)

    @cython.locals(slot=Slot)
    cdef bint _following(self) except -1

    @cython.locals(slot=Slot)
    cdef object _start(self)

    @cython.locals(slot=Slot, ledger=Ledger)
    cdef object _stop(self)

    @cython.locals(row=cython.Py_ssize_t, symbol=cython.int)
    cdef Py_ssize_t _open(self, Py_ssize_t opened) except -1

    @cython.locals(slot=Slot)
    cpdef object cancel(self, Order order)

    cpdef object flatten(self, Slot slot)
    cpdef object note_state(self, int strategy, int state, str reason)

    @cython.locals(scope=Scope)
    cpdef object violation(self, Slot slot, Order order, long long quantity)

    cdef list _scopes(self)

    @cython.locals(slot=Slot, scope=Scope)
    cdef object _happen(self)

    @cython.locals(slot=Slot)
    cdef object _ring(self)

    @cython.locals(
        table=Table, market=Market, account=Ledger, context=Context, slot=Slot, index=cython.Py_ssize_t, row=cython.Py_ssize_t,
        symbol=cython.int, price=cython.longlong
    )
    cdef object _close(self, Py_ssize_t first, Py_ssize_t last)

    @cython.locals(context=Context, slot=Slot)
    cdef object _turn(self, Py_ssize_t first, Py_ssize_t last)

    @cython.locals(table=Table, context=Context, index=cython.Py_ssize_t, row=cython.Py_ssize_t, shown=list)
    cdef object _show(self, Slot slot, Py_ssize_t first, Py_ssize_t last)

    @cython.locals(
        table=Table, context=Context, book=Book, ledger=Ledger, index=cython.Py_ssize_t, row=cython.Py_ssize_t,
        symbol=cython.int, target=cython.longlong
    )
    cdef object _follow(self, Slot slot, Py_ssize_t first, Py_ssize_t last)

    @cython.locals(
        context=Context, book=Book, symbol=cython.int, target=cython.longlong, held=cython.longlong,
        working=cython.longlong, change=cython.longlong
    )
    cdef object _decide(self, Slot slot)

    @cython.locals(scope=Scope)
    cdef object _judge(self, Slot slot, Order order)

    @cython.locals(symbol=cython.int)
    cdef object _ask(self, Scope scope, Order order, long long quantity)

    @cython.locals(symbol=cython.int, price=cython.longlong)
    cdef object _accept(self, Slot slot, Order order)

    cdef object _refuse(self, Slot slot, Order order, str scope, object violation)

    @cython.locals(order=Order)
    cdef object _execute(self, list executions, long long at)

    @cython.locals(
        symbol=cython.int, slot=Slot, unit=cython.longlong, fee=cython.longlong, signed=cython.longlong,
        complete=cython.bint, last=cython.longlong, scope=Scope, book=Book, realised=cython.longlong
    )
    cdef object _fill(self, Order order, long long quantity, long long price, long long at)

    @cython.locals(slot=Slot, scope=Scope, rest=cython.longlong)
    cdef object _end(self, Order order, int status, str event, str reason)
