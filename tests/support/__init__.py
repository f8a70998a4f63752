"""What the tests of several folders stand on: peers, the proxy in a process, waiting."""
