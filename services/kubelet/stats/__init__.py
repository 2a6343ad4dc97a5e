"""What the node and its pods use: values, how the kernel tells them, and the Summary API's shape.

Pure; who reads the files is :mod:`pilothouse.services.kubelet.adapters.machine.usage`.
"""
