cimport cython

from tradeplane_engine.core cimport exact
from tradeplane_engine.core.exact cimport int128
from tradeplane_engine.core.bounds cimport Bounds
from tradeplane_engine.core.ledger cimport Ledger

cdef class Book:
    cdef readonly Ledger ledger
    cdef readonly object buying, selling
    cdef readonly long long gross, highest_total, lowest_total, peak, session_equity, measured
    cdef readonly int active, positions, open_orders, losses
    cdef public int state
    cdef long long[::1] _buying, _selling, _exposure, _high, _low, _active, _is_active

    cpdef long long highest(self, int symbol) except? -1
    cpdef long long lowest(self, int symbol) except? -1
    cpdef object working(self, int symbol, int side, long long change)

    @cython.locals(instant=cython.longlong)
    cpdef object adopt(self, int symbol, int side, long long quantity, long long price)

    cpdef object released(self)

    @cython.locals(symbol=cython.int, place=cython.int, gross=int128, highest_total=int128, lowest_total=int128)
    cpdef object measure(self, long long instant, const long long[::1] price)

    @cython.locals(
        ledger=Ledger, quantity=cython.longlong, unit=cython.longlong, marked=cython.bint, worth=cython.longlong,
        highest=cython.longlong, lowest=cython.longlong, worst=cython.longlong
    )
    cdef object _value(self, int symbol, long long price)

    @cython.locals(exposure=cython.longlong, high=cython.longlong, low=cython.longlong)
    cdef object _touch(self, int symbol, long long price)

    cpdef long long exposure(self, int symbol) except? -1

    @cython.locals(equity=cython.longlong)
    cpdef object observe(self)

    cpdef object open_session(self)
    cpdef object closed(self, long long realised)

cdef class Policy:
    cdef readonly str name
    cdef readonly object limits
    cdef readonly Bounds bounds
    cdef readonly bint watches

cdef class Proposal:
    cdef readonly Book book
    cdef readonly Bounds bounds
    cdef readonly int symbol, side
    cdef readonly long long quantity, price, unit, now, bar_end
    cdef readonly long long highest, lowest, highest_after, lowest_after, worst_before, worst_after, value
    cdef readonly bint reduces

    cpdef object about(
        self, int symbol, int side, long long quantity, long long price, long long bar_end, long long now
    )
    cpdef long long exposure_after(self) except? -1

    @cython.locals(more=cython.longlong)
    cpdef long long gross_after(self) except? -1

cdef class Scope:
    cdef readonly str name
    cdef readonly Policy policy
    cdef readonly Book book
    cdef readonly Proposal proposal

@cython.locals(p=Proposal)
cpdef object first_violation(
    Scope scope, int symbol, int side, long long quantity, long long price, long long bar_end, long long now
)

cpdef object state_forbids(Proposal p)
cpdef object price_is_missing(Proposal p)
cpdef object quantity_is_not_positive(Proposal p)
cpdef object quantity_exceeds_limit(Proposal p)
cpdef object notional_exceeds_limit(Proposal p)
cpdef object open_orders_exceed_limit(Proposal p)
cpdef object short_is_not_allowed(Proposal p)
cpdef object weight_exceeds_limit(Proposal p)
cpdef object position_exceeds_limit(Proposal p)
cpdef object positions_exceed_limit(Proposal p)

@cython.locals(rough_gross=cython.double, rough_equity=cython.double, one=object, squares=object, equity=object, symbol=cython.int, place=cython.int)
cpdef object concentration_exceeds_limit(Proposal p)

cpdef object daily_loss_exceeds_limit(Proposal p)
cpdef object drawdown_exceeds_limit(Proposal p)
cpdef object losses_exceed_limit(Proposal p)

@cython.locals(age=cython.longlong)
cpdef object bar_is_stale(Proposal p)

@cython.locals(after=cython.longlong)
cpdef object gross_exceeds_limit(Proposal p)

@cython.locals(net=cython.longlong)
cpdef object net_exceeds_limit(Proposal p)

@cython.locals(equity=cython.longlong)
cdef object _share(str reason, str family, long long exposure, long long part, long long whole, Proposal p)

@cython.locals(lost=cython.longlong)
cdef object _lost(str reason, Book book, long long start, long long part, long long whole)

@cython.locals(book=Book, bounds=Bounds)
cpdef object loss_violation(Scope scope)
