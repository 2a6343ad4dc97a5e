"""Objects in ``application/vnd.kubernetes.protobuf``: to and from the values that JSON gives.

    messages.txt ─▶ messages ─▶ decoder  bytes to values     wire     varints, lengths, skipping
                            └▶ encoder  values to bytes      unions   times, int-or-string, …
    envelope: the four magic bytes and runtime.Unknown around every object

Typed clients (client-go since 1.32) send their bodies so. Decoders and encoders are closures,
compiled when a message is first met; nothing is read or built before the first such body.
"""
