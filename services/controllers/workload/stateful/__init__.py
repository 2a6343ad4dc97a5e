"""Parts of the StatefulSet controller: the next step, the claims, the history, the status."""
