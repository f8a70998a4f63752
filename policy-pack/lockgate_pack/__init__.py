"""Rules over a whole Pulumi stack. They need `pulumi-policy` alone, not Lockgate itself."""
