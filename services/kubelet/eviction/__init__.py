"""Pods that must go so that the node lives: thresholds, who is ranked first, and what is told.

::

    usage ─▶ signals ─▶ plan(memory, signals, now) ─┬─▶ conditions of pressure ─▶ Node
                                                    └─▶ reclaim (images, containers), else evict
"""
