"""Every error that a client can read, in one table, and the outcomes of requests. Pure."""
