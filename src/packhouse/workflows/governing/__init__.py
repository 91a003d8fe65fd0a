"""Policies, waivers and reserved names: what people decide, each verb one unit with one audit event."""
