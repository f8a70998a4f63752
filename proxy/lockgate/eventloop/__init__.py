"""All that touches Twisted's private parts: reactor, loop, transports (docs/event-loop.md)."""
