"""What containers print: from the FIFOs of their tasks to their log files, and to who is attached.

The runtime's shim holds both ends of each FIFO open, so what a container prints while nobody reads
waits there, and the container with it: nothing is lost when this process starts anew.
"""
