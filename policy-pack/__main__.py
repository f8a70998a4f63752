"""Serves the policies to Pulumi's engine: `pulumi preview --policy-pack policy-pack`."""

from lockgate_pack.policies import POLICIES
from pulumi_policy import EnforcementLevel, PolicyPack

PolicyPack("lockgate", POLICIES, enforcement_level=EnforcementLevel.MANDATORY)
