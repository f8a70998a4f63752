"""One running proxy: routes requests, drives exchanges, reloads, drains, reports. Twisted."""
