"""Who is known by the word of a provider: its number and state, and which account is whom of it."""
