"""The audit trail: one event per cause, in the transaction of the change; sealed into a signed chain afterwards."""
