"""What is sent to each provider: path, request head, credentials. Pure."""
