"""From text to a policy, or to every problem it has, each with its place and the mend."""
