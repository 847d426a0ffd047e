cimport cython

from tradeplane_engine.core cimport exact

cdef const long long[::1] _STEPS

cdef class Order:
    cdef readonly long long id, quantity, filled, limit, stop, trail, trail_bps, value, notional
    cdef readonly long long created, live_from, expires, high_water
    cdef readonly int strategy, symbol, side, kind, time_in_force, status, number, session
    cdef readonly bint paired, triggered, resting, extended_hours
    cdef readonly Order parent
    cdef readonly tuple legs
    cdef readonly Order replaces
    cdef readonly str role, reason
    cdef Py_ssize_t row

    cdef object _begin(
        self, int strategy, int symbol, int side, long long quantity, int kind, int time_in_force, long long limit,
        long long stop
    )

    cpdef long long counting(self) except? -1
    cpdef object cut(self, long long quantity)
    cpdef object move(self, int status)
    cpdef bint fill(self, long long quantity, long long value) except -1
    cpdef object shrink(self, long long quantity)
    cpdef object resize(self, long long quantity)
    cpdef object be_worth(self, long long notional)
    cpdef object trigger(self)
    cpdef object extend(self)
    cpdef object trail_by(self, long long units, long long bps)

    @cython.locals(distance=cython.longlong)
    cpdef object trail_from(self, long long price)

    @cython.locals(
        rest=cython.longlong, filled=cython.longlong, limit=cython.longlong, stop=cython.longlong, trail=cython.longlong
    )
    cpdef bint restate(self, long long new, long long old) except -1

    cdef long long _restated(self, long long price, long long new, long long old) except? -1

    @cython.locals(found=Order)
    cpdef Order copy(self)

    cpdef object group_with(self, Order parent, tuple legs)

@cython.locals(found=Order)
cpdef Order at_market(int strategy, int symbol, int side, long long quantity)

@cython.locals(head=Order)
cpdef list group(Order order)

@cython.locals(member=Order)
cpdef Order partner(Order order)

@cython.locals(leg=Order)
cpdef tuple exits(Order entry, long long take_profit, long long stop_loss, long long stop_limit)

@cython.locals(leg=Order)
cpdef object bracket(Order entry, tuple legs)

@cython.locals(leg=Order)
cpdef Order pair(Order limit, long long stop_loss, long long stop_limit)

@cython.locals(found=Order)
cdef Order _stop_loss(Order other, int side, long long stop, long long limit)
