cdef class Bounds:
    cdef readonly long long max_notional, max_quantity, max_open_orders, max_position_notional, max_positions
    cdef readonly long long max_consecutive_losses, max_bar_age
    cdef readonly bint allow_short
    cdef readonly long long weight, weight_whole, gross, gross_whole, net, net_whole
    cdef readonly long long daily_loss, daily_loss_whole, drawdown, drawdown_whole
    cdef readonly object concentration
    cdef readonly double rough_concentration
