"""The whole of Lockgate on one machine: no cluster, no key, no network."""
