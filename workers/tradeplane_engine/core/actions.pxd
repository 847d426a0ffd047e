cimport cython

from tradeplane_engine.core cimport codes as log
from tradeplane_engine.core cimport codes as orders
from tradeplane_engine.core cimport exact
from tradeplane_engine.core.flow cimport OrderFlow
from tradeplane_engine.core.ledger cimport Ledger
from tradeplane_engine.core.log cimport Log
from tradeplane_engine.core.market cimport Market
from tradeplane_engine.core.order cimport Order
from tradeplane_engine.core.risk cimport Book, Scope
from tradeplane_engine.core.slot cimport Slot

@cython.locals(
    price=cython.longlong, slot=Slot, scope=Scope, order=Order, affected=list, before=cython.longlong,
    whole=cython.longlong, part=cython.longlong, kept=cython.bint
)
cpdef object split(OrderFlow flow, int symbol, long long new, long long old)

@cython.locals(size=cython.longlong)
cpdef long long shares(long long held, long long new, long long old) except? -1

cpdef long long restated(long long price, long long new, long long old) except? -1

@cython.locals(found=cython.longlong)
cpdef long long as_of(OrderFlow flow, int symbol, long long end, long long price) except? -1

@cython.locals(order=Order, member=Order, found=list)
cdef list _affected(OrderFlow flow, int symbol)
