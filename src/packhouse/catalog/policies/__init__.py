"""Policies: named rules, the rulesets they share, waivers and reservations, and the verdicts that follow."""
