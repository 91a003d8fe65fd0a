"""Keeping an installation in order: verify what must hold, repair what is derived, sweep what nobody owns."""
