cimport cython

from tradeplane_engine.core cimport exact
from tradeplane_engine.core.exact cimport int128
from tradeplane_engine.core.ledger cimport Ledger

cdef long long NEVER, UNKNOWN, _MOST
cdef long long _WHOLE_BPS
cdef int _ENABLED, _REDUCE_ONLY

cdef class Book:
    cdef readonly Ledger ledger
    cdef readonly object buying, selling, symbols
    cdef readonly long long gross, highest_total, lowest_total, peak, session_equity, measured
    cdef readonly int positions, open_orders, losses, unpriced, day_orders
    cdef readonly long long day_notional
    cdef public int state
    cdef public bint valued
    cdef long long[::1] _buying, _selling, _exposure, _high, _low, _active, _is_active
    cdef int _actives

    cpdef long long equity(self) except? -1
    cpdef object name(self, int symbol)
    cpdef long long highest(self, int symbol) except? -1
    cpdef long long lowest(self, int symbol) except? -1

    @cython.locals(total=int128)
    cpdef object working(self, int symbol, int side, long long change)

    @cython.locals(instant=cython.longlong)
    cpdef object adopt(self, int symbol, int side, long long quantity, long long price)

    cpdef object released(self)

    @cython.locals(
        symbol=cython.int, place=cython.int, kept=cython.int, gross=int128, highest=int128, lowest=int128
    )
    cpdef object measure(self, long long instant, const long long[::1] price)

    @cython.locals(gross=int128, highest=int128, lowest=int128)
    cdef object _revalue(self, int symbol, long long price)

    cdef object _total(self, int128 gross, int128 highest, int128 lowest)

    @cython.locals(
        ledger=Ledger, product=int128, highest=int128, lowest=int128, worst=int128, unit=cython.longlong,
        exposure=cython.longlong, high=cython.longlong, low=cython.longlong
    )
    cdef object _value(self, int symbol, long long price)

    cpdef long long exposure(self, int symbol) except? -1

    @cython.locals(total=cython.double, other=cython.int, place=cython.int, one=cython.double)
    cdef double squares(self, int symbol, long long exposure) except? -1

    @cython.locals(other=cython.int, place=cython.int)
    cpdef object exact_squares(self, int symbol, object exposure)

    @cython.locals(ledger=Ledger, equity=int128)
    cpdef long long observe(self) except? -1

    cpdef object open_session(self)
    cpdef object measure_from(self, long long session_equity, long long peak, int losses)
    @cython.locals(total=int128)
    cpdef object spend(self, int orders, long long notional)
    cpdef object begin_day(self)
    cpdef object fund(self, long long amount)
    cpdef object closed(self, long long realised)

cdef class Policy:
    cdef readonly str name
    cdef readonly object limits, restricted
    cdef long long max_day_notional, max_day_orders, collar
    cdef readonly bint watches, measures, allow_short
    cdef long long max_quantity, max_notional, max_open_orders, max_position_notional, max_positions, max_losses
    cdef double rough_concentration
    cdef long long max_bar_age, weight, weight_whole, gross, gross_whole, net, net_whole, concentration
    cdef long long concentration_whole, daily_loss, daily_loss_whole, drawdown, drawdown_whole

cdef class Scope:
    cdef readonly str name
    cdef public Policy policy
    cdef readonly Book book

cdef class Proposal:
    cdef Book book
    cdef Policy policy
    cdef int symbol, side, orders
    cdef long long limit, stop
    cdef bint is_new
    cdef long long quantity, price, now, bar_end, lowest_after, worst_after
    cdef long long value, exposure_after, equity
    cdef bint reduces
    cdef const long long[::1] prices

    @cython.locals(
        book=Book, price=cython.longlong, highest=int128, lowest=int128, worst=int128, unit=cython.longlong
    )
    cpdef object weigh(
        self, Scope scope, int symbol, int side, long long quantity, long long bar_end, long long now, int orders,
        long long limit=*, long long stop=*, bint is_new=*
    )

cpdef object first_violation(Proposal p)

@cython.locals(state=cython.int, age=cython.longlong)
cdef object _of_data(Proposal p)

@cython.locals(policy=Policy)
cdef object _of_order(Proposal p)

@cython.locals(book=Book, policy=Policy, worth=int128)
cdef object _of_counts(Proposal p)

@cython.locals(reference=cython.longlong, part=int128, whole=int128)
cdef object _of_price(Proposal p)

@cython.locals(policy=Policy, after=cython.longlong)
cdef object _of_position(Proposal p)

@cython.locals(book=Book, policy=Policy, before=cython.longlong, count=cython.longlong)
cdef object _of_portfolio(Proposal p)

@cython.locals(part=cython.longlong, whole=cython.longlong, gross=cython.longlong)
cdef object _of_gross(Proposal p, long long before)

@cython.locals(part=cython.longlong, whole=cython.longlong, net=cython.longlong)
cdef object _of_net(Proposal p)

@cython.locals(policy=Policy, equity=cython.double)
cdef object _of_concentration(Proposal p)

cdef object _concentration(Proposal p, object equity, object exposure)
cpdef object loss_violation(Scope scope)
cdef object _of_losses(Book book, Policy policy, long long equity)

@cython.locals(lost=cython.longlong)
cdef object _lost(str reason, long long start, long long equity, long long part, long long whole)

@cython.locals(left=int128, right=int128)
cdef bint _within(long long amount, long long part, long long whole, long long of) except -1
