"""SPDY/3.1, as far as container runtimes' streaming servers and their clients speak it.

::

    POST /exec/TOKEN, Upgrade: SPDY/3.1 ─▶ 101 ─▶ SYN_STREAM error, stdin, stdout … ─▶ data frames

The peer neither sends nor reads WINDOW_UPDATE, so the connection's own back-pressure is the flow
control: a reader that waits stops the socket, and a writer waits for the socket to drain.
"""
