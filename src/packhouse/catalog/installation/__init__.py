"""The secrets of the installation itself: what tokens are hashed and the audit trail is signed with."""
