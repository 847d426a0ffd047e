# The numbers of the core's words as C constants: a name that a module defines is an object in compiled code, and looking
# it up in another module costs more than what is done with it. tests/unit/test_core_codes.py holds both equal.

cdef enum:
    # order
    ACCEPTED = 0
    NEW = 1
    HELD = 2
    PARTIALLY_FILLED = 3
    PENDING_CANCEL = 4
    PENDING_REPLACE = 5
    FILLED = 6
    CANCELED = 7
    EXPIRED = 8
    REPLACED = 9
    REJECTED = 10
    TERMINAL = 6
    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3
    TRAILING_STOP = 4
    DAY = 0
    GTC = 1
    OPG = 2
    CLS = 3
    IOC = 4
    FOK = 5
    # log
    ORDER = 1
    REFUSED = 2
    FILL = 3
    STATUS = 4
    ENTRY = 5
    SPLIT = 6
    STATE = 7
    END = 8
    # agenda
    CONTROL = 1
    ACTION = 2
    TIMER = 4
    # tradable
    NO_OPEN = 1
    NO_PATH = 2
    NO_CLOSE = 4
    CLOSING = 8
    OUTSIDE = 16
    EXTENDED = 32
    # venue_settings
    NEXT_OPEN = 0
    NEXT_CLOSE = 1
    SAME_CLOSE = 2
    BOOK = 3
    WORST = 0
    BEST = 1
    OHLC = 2
    OLHC = 3
    ADAPTIVE = 4
    # risk
    ENABLED = 0
    REDUCE_ONLY = 1
    FLATTEN = 2

cdef extern from *:
    const long long NEVER "9223372036854775807LL"
