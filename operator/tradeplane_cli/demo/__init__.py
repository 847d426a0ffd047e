"""The main job: apply, train, trade, halt, lift, and prove from the ledger and the broker that everything adds up.

``run`` is the order of the phases, ``replay`` moves the simulator's clock, ``facts`` gathers, ``checks`` decides,
``charts`` and ``report`` write the result for people.
"""
