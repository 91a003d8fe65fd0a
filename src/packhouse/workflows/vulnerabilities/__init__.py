"""What is known of vulnerabilities, told: lists, files, the answer for a package, reports, and who is concerned."""
