"""A SPDY/3.1 client, as far as a container runtime's streaming server speaks it.

::

    POST /exec/TOKEN, Upgrade: SPDY/3.1 ─▶ 101 ─▶ SYN_STREAM error, stdin, stdout … ─▶ data frames

The peer neither sends nor reads WINDOW_UPDATE, so the connection's own back-pressure is the flow
control: a reader that waits stops the socket, and a writer waits for the socket to drain.
"""
