cimport cython

from tradeplane_engine.core cimport codes as orders
from tradeplane_engine.core.flow cimport OrderFlow
from tradeplane_engine.core.market cimport Market
from tradeplane_engine.core.order cimport Order
from tradeplane_engine.core.risk cimport Book, Scope
from tradeplane_engine.core.slot cimport Slot
from tradeplane_engine.core.table cimport Table

@cython.locals(member=Order)
cpdef object cancel(OrderFlow flow, Order order)

@cython.locals(slot=Slot, scope=Scope, rest=cython.longlong)
cpdef object replace(OrderFlow flow, Order order, Order new)

@cython.locals(order=Order, other=Order, at=cython.longlong, what=cython.int, running=cython.longlong)
cpdef object settle(OrderFlow flow)

@cython.locals(slot=Slot, scope=Scope, leg=Order, head=Order)
cdef object _swap(OrderFlow flow, Order old, Order new)

@cython.locals(table=Table, row=cython.Py_ssize_t, first=cython.Py_ssize_t, stop=cython.Py_ssize_t)
cdef long long _running(OrderFlow flow, int symbol, long long at) except? -1
