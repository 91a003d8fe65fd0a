"""Logins: begun, listed, ended; what their cookies hold, and whether who asks still stands."""
