"""API priority and fairness: which request may run now, which waits, and which is sent away.

    FlowSchemas ──▶ Classifier ──▶ Level: seats, queues of flows ──▶ Ticket: running or waiting

Everything here is a decision: no clock is read and nothing waits. :mod:`..rest.seating` drives it:
it asks for a ticket per request, wakes those that :meth:`Control.turn` names, and gives seats back.

On one event loop requests run one after another, and most of them from start to end: seats alone
would never fill. So besides the seats of each level there is a budget of requests that may begin
in one turn of the loop; what is over it waits in the queues of its level, and the next turn takes
from each level and flow in its order. A flood by one client thus fills its own queues, and a
request of somebody else passes it.
"""
