"""Membership-inference audits of a forgetting: evidence, not proof."""
