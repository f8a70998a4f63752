"""A first policy out of what this machine has: model servers on loopback, keys of providers."""
