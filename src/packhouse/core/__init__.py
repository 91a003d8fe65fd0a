"""The ground: settings, errors, clock, database, blobs, jobs, outbound HTTP. Knows no noun."""
