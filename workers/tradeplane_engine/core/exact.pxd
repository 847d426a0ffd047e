cimport cython

cdef extern from "exact.h":
    ctypedef long long int128 "tradeplane_int128"

cdef long long _MOST

cdef long long fit(int128 value, str field) except? -1

@cython.locals(total=int128)
cpdef long long add(long long left, long long right, str field) except? -1

@cython.locals(parts=cython.longlong, product=int128)
cpdef long long notional(long long price, long long quantity, long long unit) except? -1

@cython.locals(product=int128, quotient=int128, remainder=int128, twice=int128)
cpdef long long ratio(long long amount, long long part, long long whole, str field) except? -1

@cython.locals(product=int128, divisor=int128, quotient=int128, twice=int128)
cpdef long long fee(long long price, long long quantity, long long unit, long long part, long long whole) except? -1

@cython.locals(product=int128)
cpdef long long floor_ratio(long long amount, long long part, long long whole, str field) except? -1

@cython.locals(parts=cython.longlong, product=int128)
cpdef long long ceil_ratio(long long amount, long long part, long long whole, str field) except? -1

@cython.locals(divisor=int128, size=int128)
cpdef long long whole_shares(long long amount, long long price, long long unit) except? -1
