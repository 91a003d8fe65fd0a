"""What the installation gives out as an OpenID provider for command lines: signing keys, device grants and codes."""
