"""Parts of the DaemonSet controller: where its pods belong, the next step, the status."""
