cimport cython

from tradeplane_engine.core cimport exact
from tradeplane_engine.core.context cimport Context
from tradeplane_engine.core.exact cimport int128
from tradeplane_engine.core.ledger cimport Ledger
from tradeplane_engine.core.risk cimport Book
from tradeplane_engine.core.table cimport Table

cdef long long _MOST

cdef class Quiet:
    cdef Table table
    cdef Context context
    cdef Book book, account
    cdef const int[::1] close_rows
    cdef const long long[::1] close_at, open_at, wish
    cdef long long[::1] first_row, price, bar_end, equity
    cdef readonly Py_ssize_t opened
    cdef Py_ssize_t instants
    cdef long long highest
    cdef readonly long long now

    cpdef object read(self, object close_rows, object close_at, object open_at, object wish, object first_row)
    cpdef object write(self, object equity)

    @cython.locals(last=cython.Py_ssize_t)
    cpdef Py_ssize_t advance(
        self, Py_ssize_t closed, Py_ssize_t opened, Py_ssize_t instants, long long until
    ) except -1

    @cython.locals(
        symbol_of="const int[::1]", quantity="long long[::1]", rows=cython.Py_ssize_t, last=cython.Py_ssize_t,
        row=cython.Py_ssize_t, symbol=cython.int
    )
    cdef Py_ssize_t _several(self, Py_ssize_t closed, long long until) except -1

    @cython.locals(own=Ledger, account=Ledger, most=int128)
    cdef bint _is_plain(self) except -1

    @cython.locals(
        own=Ledger, account=Ledger, context=Context, held=cython.longlong, step=cython.longlong, cash=cython.longlong,
        first=cython.longlong, rows=cython.Py_ssize_t, instants=cython.Py_ssize_t, last=cython.Py_ssize_t,
        worth=cython.longlong, least=cython.longlong, most=cython.longlong, price=cython.longlong,
        best=cython.longlong
    )
    cdef Py_ssize_t _alone(self, Py_ssize_t closed, long long until) except -1

    @cython.locals(
        table=Table, context=Context, book=Book, whole=Book, account=Ledger, own=Ledger,
        instants=cython.Py_ssize_t, peak=cython.longlong, account_peak=cython.longlong, total=int128,
        account_total=int128, value=int128, index=cython.Py_ssize_t, row=cython.Py_ssize_t, symbol=cython.int,
        held=cython.longlong, moved=cython.bint, worth_now=cython.longlong, price=cython.longlong
    )
    cdef object mark(self, Py_ssize_t closed, Py_ssize_t last)
