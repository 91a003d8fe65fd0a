"""The core nouns and their queries: channels, packages, mirrors, accounts, audit, downloads."""
