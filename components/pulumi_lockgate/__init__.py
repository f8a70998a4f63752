"""Lockgate's Pulumi components and the plan-time verbs over them."""
