cimport cython

from tradeplane_engine.core cimport exact
from tradeplane_engine.core.context cimport Context
from tradeplane_engine.core.ledger cimport Ledger
from tradeplane_engine.core.risk cimport Book
from tradeplane_engine.core.table cimport Table

cdef class Quiet:
    cdef Table table
    cdef Context context
    cdef Book book, account
    cdef const long long[::1] close_rows, close_at, open_at, wish
    cdef long long[::1] first_row, price, bar_end, equity
    cdef readonly Py_ssize_t opened, instants
    cdef readonly long long now

    cpdef object read(self, object close_rows, object close_at, object open_at, object wish, object first_row)
    cpdef object write(self, object equity)

    @cython.locals(
        table=Table, context=Context, book=Book, whole=Book, account=Ledger, own=Ledger, equity=cython.longlong,
        rows=cython.Py_ssize_t, last=cython.Py_ssize_t, index=cython.Py_ssize_t, row=cython.Py_ssize_t,
        symbol=cython.int, price=cython.longlong, instant=cython.longlong, now=cython.longlong
    )
    cpdef Py_ssize_t advance(
        self, Py_ssize_t closed, Py_ssize_t opened, Py_ssize_t instants, long long until
    ) except -1
