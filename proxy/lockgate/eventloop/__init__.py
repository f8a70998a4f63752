"""All that touches Twisted's insides: the reactor, its loop, transports."""
