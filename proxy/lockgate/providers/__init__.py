"""How each provider is spoken to: path, request head, credentials. Pure."""
