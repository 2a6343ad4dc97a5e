"""CRI's ImageService on containerd's content store and snapshots, and a registry client of ours.

::

    PullImage ─▶ name in full ─▶ hosts ─▶ manifest for this platform ─▶ blobs into the content store
              ─▶ layers unpacked, one snapshot on the other ─▶ image records, labelled for the CRI

Images live in containerd and nowhere else: what ``ctr`` or containerd's own CRI brought is seen
here, and the other way round.
"""
