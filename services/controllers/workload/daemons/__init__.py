"""Parts of the DaemonSet controller: where its pods belong, the next step, patience, the status."""
