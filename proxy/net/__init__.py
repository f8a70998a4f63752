"""The only Twisted: listener, upstream connections, pool, TLS, names, drain, reload."""
