"""Single downloads: who had which file when, from which address and client; kept for as long as the settings say."""
