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
    cdef readonly Py_ssize_t opened, instants
    cdef readonly long long now

    cpdef object read(self, object close_rows, object close_at, object open_at, object wish, object first_row)
    cpdef object write(self, object equity)

    @cython.locals(
        table=Table, close_rows="const int[::1]", close_at="const long long[::1]", symbol_of="const int[::1]",
        wish="const long long[::1]", first_row="long long[::1]", quantity="long long[::1]", rows=cython.Py_ssize_t,
        last=cython.Py_ssize_t, row=cython.Py_ssize_t, symbol=cython.int, now=cython.longlong
    )
    cpdef Py_ssize_t advance(
        self, Py_ssize_t closed, Py_ssize_t opened, Py_ssize_t instants, long long until
    ) except -1

    @cython.locals(
        table=Table, context=Context, book=Book, whole=Book, account=Ledger, own=Ledger,
        close_rows="const int[::1]", close_at="const long long[::1]", symbol_of="const int[::1]",
        close="const long long[::1]", quantity="long long[::1]", worth="long long[::1]", step="long long[::1]",
        account_quantity="long long[::1]", account_worth="long long[::1]", last_row="long long[::1]",
        equity="long long[::1]", instants=cython.Py_ssize_t, peak=cython.longlong, account_peak=cython.longlong,
        total=int128, account_total=int128, value=int128, index=cython.Py_ssize_t, row=cython.Py_ssize_t,
        symbol=cython.int, held=cython.longlong, moved=cython.bint, worth_now=cython.longlong,
        price=cython.longlong, first=cython.longlong
    )
    cdef object _mark(self, Py_ssize_t closed, Py_ssize_t last)
