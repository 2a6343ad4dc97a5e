"""Controllers that give namespaces their accounts, tokens and trust."""
