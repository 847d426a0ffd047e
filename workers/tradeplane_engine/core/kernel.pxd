cimport cython

from tradeplane_engine.core cimport actions, requests
from tradeplane_engine.core.agenda cimport Agenda
from tradeplane_engine.core.context cimport Context, missing
from tradeplane_engine.core.flow cimport OrderFlow
from tradeplane_engine.core.ledger cimport Ledger
from tradeplane_engine.core.log cimport Log
from tradeplane_engine.core.market cimport Market
from tradeplane_engine.core.order cimport Order, at_market
from tradeplane_engine.core.quiet cimport Quiet
from tradeplane_engine.core.risk cimport Book, Policy, Scope
from tradeplane_engine.core.slot cimport Slot
from tradeplane_engine.core.table cimport Bar, Bars, Table

cdef long long _NEVER

cdef class Kernel:
    cdef readonly Table table
    cdef readonly Market market
    cdef readonly OrderFlow flow
    cdef readonly Log log
    cdef readonly Scope account
    cdef readonly list slots, early
    cdef readonly object equity
    cdef Quiet _quiet
    cdef object _barriers
    cdef long long _wait
    cdef readonly Py_ssize_t instants
    cdef Py_ssize_t _closed, _opened, _ended, _opens
    cdef readonly long long now
    cdef readonly bint started, delayed, watching, measuring
    cdef readonly Agenda agenda
    cdef const int[::1] _close_rows, _open_rows, _end_rows
    cdef const long long[::1] _close_at, _open_at, _end_at
    cdef long long[::1] _equity

    cpdef object follow(self, Context context, object shares, object first)

    @cython.locals(
        table=Table, flow=OrderFlow, market=Market, rows=cython.Py_ssize_t, base=cython.Py_ssize_t, opens=cython.Py_ssize_t,
        closed=cython.Py_ssize_t,
        opened=cython.Py_ssize_t, ended=cython.Py_ssize_t, first=cython.Py_ssize_t, last=cython.Py_ssize_t,
        row=cython.Py_ssize_t, now=cython.longlong, next_open=cython.longlong, planned=Agenda, delayed=cython.bint,
        found=list, sources=cython.int, waits=cython.bint, ledger=Ledger, fills=cython.longlong
    )
    cdef object _loop(self, long long until)

    cpdef object watch(self, Policy policy)

    cpdef object run(self)
    cpdef object advance(self, long long until)
    @cython.locals(flow=OrderFlow)
    cpdef object late_turn(self, Slot slot, object act, long long sent_at, long long decided_at, object quotes)

    cpdef bint step(self, long long until) except -1

    @cython.locals(at=cython.longlong)
    cdef long long _next(self) except? -1

    @cython.locals(context=Context)
    cpdef object turn(self, Slot slot, object act, long long sent_at)
    cpdef object quote(self, int symbol, long long price, long long end)

    @cython.locals(flow=OrderFlow, rows=cython.Py_ssize_t)
    cdef object _last_barriers(self)

    @cython.locals(slot=Slot, ledger=Ledger)
    cpdef object stop(self)

    @cython.locals(slot=Slot)
    cdef bint _following(self) except -1

    @cython.locals(quiet=Quiet)
    cdef Py_ssize_t _pass(self, Py_ssize_t closed, Py_ssize_t opened, long long until) except -1

    @cython.locals(slot=Slot, flow=OrderFlow, gathers=cython.bint, late=cython.bint)
    cpdef object start(self)

    cdef object _happen(self, int phase)

    cpdef long long mark(self, int symbol) except? -1

    @cython.locals(slot=Slot)
    cdef object _ring(self)

    cdef object _open_session(self)

    @cython.locals(flow=OrderFlow, order=Order)
    cdef object _open(self, list found, int sources)

    @cython.locals(market=Market, flow=OrderFlow, order=Order, symbol=cython.int)
    cdef Py_ssize_t _quote(self, Py_ssize_t opened, long long now) except -1

    @cython.locals(table=Table, index=cython.Py_ssize_t, row=cython.Py_ssize_t, symbol=cython.int)
    cdef object _end(self, Py_ssize_t first, Py_ssize_t last)

    @cython.locals(
        table=Table, flow=OrderFlow, account=Ledger, own=Ledger, context=Context, slots=list, slot=Slot,
        index=cython.Py_ssize_t, row=cython.Py_ssize_t, base=cython.Py_ssize_t, symbol=cython.int, price=cython.longlong, end=cython.longlong
    )
    cdef long long _close(self, Py_ssize_t first, Py_ssize_t last) except? -1

    @cython.locals(context=Context, slot=Slot)
    cdef object _turn(self, Py_ssize_t first, Py_ssize_t last)

    @cython.locals(
        table=Table, index=cython.Py_ssize_t, row=cython.Py_ssize_t, missed=cython.longlong, symbol=cython.int,
        length=cython.longlong
    )
    cdef list _gathered(self, Py_ssize_t first, Py_ssize_t last)

    @cython.locals(table=Table, context=Context, row=cython.Py_ssize_t, shown=list, rows=list)
    cdef object _show_together(self, Slot slot, list together)

    @cython.locals(
        table=Table, context=Context, index=cython.Py_ssize_t, row=cython.Py_ssize_t, shown=list, gathers=cython.bint
    )
    cdef object _show(self, Slot slot, Py_ssize_t first, Py_ssize_t last, list together)

    cdef list _rows(self, Py_ssize_t first, Py_ssize_t last)

    @cython.locals(table=Table, bar=Bar)
    cdef Bars _bars(self, list shown, list rows)

    @cython.locals(
        table=Table, context=Context, book=Book, ledger=Ledger, index=cython.Py_ssize_t, row=cython.Py_ssize_t,
        symbol=cython.int, target=cython.longlong, held=cython.longlong, buying=cython.longlong,
        selling=cython.longlong, change=cython.longlong, side=cython.int
    )
    cdef object _follow(self, Slot slot, Py_ssize_t first, Py_ssize_t last)
