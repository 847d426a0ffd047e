cimport cython

from tradeplane_engine.core cimport exact
from tradeplane_engine.core.costs cimport Costs
from tradeplane_engine.core.table cimport Table

cdef class Fills:
    cdef long long[::1] rows, shares, flows, fees, held, waiting

@cython.locals(
    count=cython.Py_ssize_t, place=cython.Py_ssize_t, known=cython.Py_ssize_t, symbol=cython.int, row=cython.Py_ssize_t,
    stop=cython.Py_ssize_t, unit=cython.longlong, wish=cython.longlong, position=cython.longlong,
    target=cython.longlong, change=cython.longlong, side=cython.int, quantity=cython.longlong,
    reference=cython.longlong, price=cython.longlong, fee=cython.longlong
)
cpdef Py_ssize_t trade(
    Table table, Costs costs, const long long[::1] points, const long long[::1] targets, const long long[::1] opens,
    const long long[::1] first, const long long[::1] opening, Fills found
) except -1
