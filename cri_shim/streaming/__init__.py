"""Commands in containers, their own terminals, and their ports: over SPDY and WebSockets.

::

    CRI Exec ─▶ a URL with a token, good once and for a minute ─▶ the kubelet connects ─▶ streams

The server listens on loopback. A session is the streams of one client, whatever the protocol.
"""
