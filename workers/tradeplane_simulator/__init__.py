"""A broker and data server that speaks Alpaca's protocol over real sockets, on the engine's venue model.

Belongs here: accounts, orders, streams, bars, the clock and the journal. Must stay out: anything of Tradeplane's own
protocol; an official Alpaca client must not be able to tell.
"""
