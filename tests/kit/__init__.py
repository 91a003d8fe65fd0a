"""What tests share: real services, real clients, a fake upstream that misbehaves on command."""
