"""Level-triggered work: a queue of keys and the loop that alone retries."""
