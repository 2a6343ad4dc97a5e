"""What drives pods: one worker each, and what carries out its plans."""
