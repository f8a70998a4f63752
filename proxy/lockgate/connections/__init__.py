"""Connections of clients and to upstreams: HTTP, pools, names, TLS, timers. Twisted."""
