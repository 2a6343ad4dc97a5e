"""What containers and pods use: from cgroup files, ``/proc`` and snapshots, when somebody asks."""
